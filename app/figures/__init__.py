"""What an operator watches at `/metrics`."""
