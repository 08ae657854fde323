"""Web chat: the widget of a shop's page and what it talks to. A channel like any other, whose provider happens to live here."""
