"""The build of what is deployed to Lambda."""
