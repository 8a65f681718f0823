"""Bits-back coding with asymmetric numeral systems (BB-ANS)."""

from __future__ import annotations

from fsar_lab.models.coders.gaussian import Gaussian


class BitsBack(Gaussian):
    """The Gaussian of METHOD 2.1 for pixels whose latents are sampled, not chosen (arXiv:1901.04866).

    To code an image its latents z are *decoded* from what the stream already holds, with the posterior
    q(z | x); then x is coded with p(x | z) and z with p(z). The receiver decodes z and x and gives back the
    bits by coding z with q(z | x). So an image costs -log p(x | z) - log p(z) + log q(z | x), on average
    the negative ELBO, which is the training loss; the first image of a chain needs bits to begin with.

    p(x | z) is the same in training and in coding, sigma = exp(s) in both (the reference codes with
    exp(s / 2), METHOD 9.1-8). Latents are those of the quantizer `gaussian`.
    """
