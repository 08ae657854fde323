"""What a message means: which intent, how sure, in which language, with which entities, and whether it asks to be left alone (docs/understanding.md)."""
