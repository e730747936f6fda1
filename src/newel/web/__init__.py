"""The web server: the HTTP API for machines and the console for people, over one Engine."""
