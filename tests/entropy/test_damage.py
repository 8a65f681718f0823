"""Damaged streams end in the typed error or in a visible mismatch; never in a crash."""

from __future__ import annotations

import entropy_reference as ref
import numpy as np
import pytest

from fsar_lab import entropy
from fsar_lab.errors import DamagedStreamError

IMAGES, SIDE = 37, 8  # two groups


class Codec:
    """Latents and pixels on the same states; the data are drawn from the models by decoding noise."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        counts = ref.random_counts(rng, 2 * 17**2, 16, 12)
        self.fsar = entropy.FSARModel(entropy.Tables(counts, 12), [(0, -1, 0), (0, 0, -1)], 2, 16)
        self.pixels = entropy.PixelModel(**ref.pixel_arguments())
        self.shape = (IMAGES, 2, 4, 4)
        self.logits = rng.integers(-1000, 1000, (IMAGES, 3, SIDE, SIDE)).astype(np.int16)
        self.scales = rng.integers(1, 5, self.logits.shape).astype(np.uint8)
        noise = [rng.integers(1, 256, lanes * 1000).astype(np.uint8).tobytes() for lanes in (32, IMAGES - 32)]
        decoder = entropy.Decoder(noise, IMAGES)
        self.data = self.pop(decoder)
        encoder = entropy.Encoder(IMAGES)
        encoder.push_pixels(self.pixels, self.data[1], self.logits, self.scales)
        encoder.push_fsar(self.fsar, self.data[0])
        self.streams = encoder.finish()

    def pop(self, decoder: entropy.Decoder) -> tuple[np.ndarray, np.ndarray]:
        indices = decoder.pop_fsar(self.fsar, self.shape)
        return indices, decoder.pop_pixels(self.pixels, self.logits, self.scales)

    def outcome(self, streams: list[bytes]) -> str:
        try:
            decoder = entropy.Decoder(streams, IMAGES)
            indices, images = self.pop(decoder)
            decoder.finish()
        except DamagedStreamError:
            return "caught"
        same = np.array_equal(indices, self.data[0]) and np.array_equal(images, self.data[1])
        return "same" if same else "different"


@pytest.fixture(scope="module")
def codec() -> Codec:
    codec = Codec()
    assert codec.outcome(codec.streams) == "same"
    return codec


def test_every_truncation_is_caught(codec):
    first, second = codec.streams
    cuts = [*range(200), *range(200, len(second), 17), len(second) - 2, len(second) - 1]
    for cut in cuts:
        assert codec.outcome([first, second[:cut]]) == "caught"
    assert codec.outcome([first, b""]) == "caught"


def test_every_extension_is_caught(codec):
    first, second = codec.streams
    for extra in (b"\0", b"\0\0", b"\x01\x02\x03", bytes(64), first):
        assert codec.outcome([first, second + extra]) == "caught"


def test_wrong_number_and_order_of_groups(codec):
    first, second = codec.streams
    for streams in ([first], [first, second, second], [second, first], [first, first], []):
        assert codec.outcome(streams) == "caught"


def test_impossible_states_are_caught(codec):
    first, second = codec.streams
    assert codec.outcome([b"\xff\xff\0\0" + first[4:], second]) == "caught"


def test_mutations(codec):
    rng = np.random.default_rng(2)
    found = {"caught": 0, "different": 0, "same": 0}
    for number in range(4000):
        which = number % 2
        stream = np.frombuffer(codec.streams[which], np.uint8).copy()
        places = rng.integers(0, len(stream), 1 if number % 3 else rng.integers(1, 30))
        if number % 5 == 0:
            stream[places] = rng.integers(0, 256, len(places))
        else:
            stream[places] ^= np.uint8(1) << rng.integers(0, 8, len(places)).astype(np.uint8)
        streams = list(codec.streams)
        streams[which] = stream.tobytes()
        altered = streams[which] != codec.streams[which]
        outcome = codec.outcome(streams)
        assert (outcome == "same") == (not altered)
        found[outcome] += 1
    share = found["caught"] / (found["caught"] + found["different"])
    print(f"{found}: {100 * share:.2f} % of the alterations caught without a checksum")
    assert share > 0.99


def test_another_model_is_noticed(codec):
    rng = np.random.default_rng(3)
    tables = entropy.Tables(ref.random_counts(rng, 2 * 17**2, 16, 12), 12)
    fsar = entropy.FSARModel(tables, [(0, -1, 0), (0, 0, -1)], 2, 16)
    decoder = entropy.Decoder(codec.streams, IMAGES)
    with pytest.raises(DamagedStreamError):
        decoder.pop_fsar(fsar, codec.shape)
        decoder.pop_pixels(codec.pixels, codec.logits, codec.scales)
        decoder.finish()


def test_decoding_less_than_was_coded_is_noticed(codec):
    decoder = entropy.Decoder(codec.streams, IMAGES)
    decoder.pop_fsar(codec.fsar, codec.shape)
    with pytest.raises(DamagedStreamError):
        decoder.finish()


def test_random_bytes_never_crash(codec):
    rng = np.random.default_rng(4)
    for length in [*range(0, 300, 7), 1000, 20000]:
        streams = [rng.integers(0, 256, length).astype(np.uint8).tobytes() for _ in range(2)]
        assert codec.outcome(streams) in ("caught", "different")
