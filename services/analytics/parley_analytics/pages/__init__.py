"""The dashboards: pages made on the server, one small chart library, and a sign-in with a key."""
