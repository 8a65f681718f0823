"""Plain `nn.Module`s of the method: backbones, quantizers, priors, coders, and the compressor that joins them."""
