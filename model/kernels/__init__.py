"""Decoding on the CPU, compiled: a batch's tokens are drawn without a step of Python between them.

`block` multiplies matrices, `elementwise` and `heads` are the layers, `network` puts them together,
`drawing` goes from logits to an id, `writing` does all of it for a batch, token by token.

A number's value never depends on what is computed beside it: every sum is made in one order, along
the vector it belongs to. So a text is the same to the last bit whoever shares its batch, and
whether it is read at once or token by token.
"""
