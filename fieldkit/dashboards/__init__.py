"""What a dashboard page is made of, and the server that shows it."""
