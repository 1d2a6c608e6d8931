"""Generates openapi.json and the events' schemas from the functions: `make openapi`."""
