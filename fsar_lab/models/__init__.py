"""Plain `nn.Module`s of the method, and the compressor that joins them."""
