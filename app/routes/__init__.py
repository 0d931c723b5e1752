"""HTTP in, HTTP out; one module for each part of the API."""
