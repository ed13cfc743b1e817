"""HTTP: the Flask application, its pages, and the web server."""
