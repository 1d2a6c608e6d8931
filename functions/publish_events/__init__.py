"""Tell other systems what happened to orders."""
