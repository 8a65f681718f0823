"""Every parameter of every option, declared once.

A dataclass here *is* what the class named by its `_target_` takes as its only configuration
argument; YAML files under `conf/` hold just what differs from these defaults. This module imports
neither torch nor hydra, so that mistakes are found before anything heavy is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

# Only classes below these packages may be named by a `_target_`.
ALLOWED_TARGETS = ("fsar_lab.",)


@dataclass
class NoneConfig:
    """The option `none` of backbone, quantizer or prior: the model has no such part."""

    _target_: str = "fsar_lab.config.build.nothing"


# --- backbone --------------------------------------------------------------------------------


@dataclass
class ShallowConfig:
    """Strided-convolution autoencoder, METHOD 1.2, "bbv2" family."""

    _target_: str = "fsar_lab.models.backbones.shallow.Shallow"
    width: int = 64  # channels of every hidden layer and of the latent y
    downsamples: int = 1  # 4x4 stride-2 convolutions; the latent is 2^downsamples smaller
    residual_blocks: int = 1
    long_skip: bool = False  # one more skip, around all residual blocks together
    pixel_shuffle: bool = False  # the synthesis enlarges by 3x3 convolution and PixelShuffle


# --- quantizer -------------------------------------------------------------------------------


@dataclass
class RestartConfig:
    """Dead codebook entries are moved onto encoder outputs, early in training only."""

    until: float = 0.25  # fraction of training during which entries may be moved
    every_steps: int = 50  # usage is counted over this many steps
    min_share: float = 0.02  # an entry is dead if used less than min_share / codebook_size


@dataclass
class VectorQuantizerConfig:
    """What every vector quantizer has: `groups` codebooks of `codebook_size` vectors."""

    _target_: str = MISSING
    groups: int = 1
    codebook_size: int = 256
    dim: int = 32  # length of a codebook vector; groups * dim must equal the backbone's width
    restart: RestartConfig = field(default_factory=RestartConfig)


@dataclass
class STHQConfig(VectorQuantizerConfig):
    """Straight-through hardmax quantizer (V2DVQ) and its relatives, named terms of one loss: METHOD 3.

    With logits l = -|y - E|^2 / (2 sigma^2), q = softmax(l), g ~ GumbelSoftmax(l, temperature).
    """

    _target_: str = "fsar_lab.models.quantizers.sthq.STHQ"
    # What stands for the symbol in training: straight_through is a one-hot with the gradient of g, soft is
    # g itself, hard is a one-hot without a gradient. Evaluation and coding always take the nearest codeword.
    selection: str = "straight_through"
    noise: bool = True  # false: g is softmax(l / temperature), without Gumbel noise
    gumbel_temperature: float = 0.5
    anneal_temperature: bool = False  # multiplied by the factor of the group `anneal`
    variance: float = 1.0  # sigma^2 of the posterior
    train_variance: bool = False  # variance is then where it starts
    copy_gradient: bool = True  # of the synthesis network, to y; false: it flows through the selection
    commitment_weight: float = 1.0  # weight of |y - e|^2 / (2 sigma^2), no stop-gradients
    rate: str = "sample"  # sample | posterior: whether the selection or q carries the gradient of the rate
    entropy_weight: float = 0.0  # weight of sum s log q (rate=sample) or sum q log q (rate=posterior)
    anneal_entropy: bool = False
    alternate: bool = False  # E and M steps in turn: without the prior's gradient, without the encoder's
    gap_control: bool = False  # mix in the distortion of hard codes: share times soft, the rest hard
    gap_start: float = 0.5  # share of the training after which the soft share is annealed from 1
    init_range: float | None = 1.0  # codebooks start in U(-init_range, init_range); null: 1 / codebook_size


@dataclass
class VQVAEConfig(VectorQuantizerConfig):
    """Classic VQ-VAE quantizer with stop-gradients (arXiv:1711.00937, eq. 3)."""

    _target_: str = "fsar_lab.models.quantizers.vqvae.VQVAE"
    codebook_weight: float = 1.0
    commitment_weight: float = 0.25


@dataclass
class VQVAEEMAConfig(VectorQuantizerConfig):
    """VQ-VAE whose codebooks are moving averages of what they stand for (arXiv:1711.00937, appendix A.1)."""

    _target_: str = "fsar_lab.models.quantizers.vqvae_ema.VQVAEEMA"
    commitment_weight: float = 0.25
    decay: float = 0.999
    epsilon: float = 1e-5  # Laplace smoothing of the counts


@dataclass
class EntropyBottleneckConfig(VectorQuantizerConfig):
    """Scalars rounded to integers, with a trained density for each channel (arXiv:1802.01436)."""

    _target_: str = "fsar_lab.models.quantizers.entropy_bottleneck.EntropyBottleneck"
    groups: int = 32  # one for each channel: the backbone's width
    codebook_size: int = 64  # integers -K/2 .. K/2 - 1; latents beyond are coded as the ends
    dim: int = 1
    components: int = 3  # logistic distributions in the mixture of a channel


@dataclass
class McQuicConfig:
    """Residual codebooks at several resolutions, each half as high and wide as the one before."""

    _target_: str = "fsar_lab.models.quantizers.mcquic.McQuic"
    groups: int = 2
    dim: int = 32  # length of a codebook vector; groups * dim must equal the backbone's width
    codebook_sizes: list[int] = field(default_factory=lambda: [8192, 2048, 512])  # finest level first


@dataclass
class GaussianLatentsConfig:
    """Real-valued latents with a Gaussian posterior and a standard normal prior, for bits-back coding."""

    _target_: str = "fsar_lab.models.quantizers.gaussian.GaussianLatents"
    channels: int = 32  # of the latents: half the backbone's width, which holds means and log variances
    limit: float = 4.0  # the outermost of the 256 bins that are coded have their centres at -limit and limit
    # Natural log of a posterior's sigma. Sharper ones than a bin is wide would be paid for in vain.
    log_scale_min: float = -3.5
    log_scale_max: float = 1.0
    num_scales: int = 64  # grid of the integer tables


# --- annealing -------------------------------------------------------------------------------


@dataclass
class AnnealConfig:
    """How annealed values fall over the training; of parts that anneal nothing it changes nothing."""

    shape: str = "exponential"  # constant | exponential | linear | step
    half_life: float = 0.2  # share of the training in which the value halves (exponential, step)
    floor: float = 0.03125  # the factor falls no lower, so that no temperature gets to 0


# --- prior -----------------------------------------------------------------------------------


@dataclass
class UniformConfig:
    """Every index equally likely: log2 K bits each."""

    _target_: str = "fsar_lab.models.priors.uniform.Uniform"


@dataclass
class FSARConfig:
    """Finite-state autoregressive prior, METHOD 4."""

    _target_: str = "fsar_lab.models.priors.fsar.FSAR"
    # Causal neighbours as [group, row, column] offsets; the first varies slowest in the table.
    offsets: list[list[int]] = field(default_factory=lambda: [[0, -1, 0], [0, 0, -1]])
    hidden_expansion: int = 2
    detach_context: bool = True  # "arid": codebook vectors enter the network without gradient
    detach_posterior: bool = True  # coded symbols are constants for the rate term
    # Share of the positions, drawn anew for every batch, whose rate is evaluated in training: an unbiased
    # estimate of the loss for a part of its cost. Validation and coding always use all positions.
    train_share: float = 1.0


@dataclass
class CodeFreqConfig:
    """One learned static distribution for each group."""

    _target_: str = "fsar_lab.models.priors.code_freq.CodeFreq"
    detach_posterior: bool = True  # coded symbols are constants for the rate term


@dataclass
class CatReduceConfig(FSARConfig):
    """Finite-state prior with a learned number of states, METHOD 5."""

    _target_: str = "fsar_lab.models.priors.catreduce.CatReduce"
    alpha_mode: str = "fixed"  # fixed (alpha_max) | annealed (from alpha_min to alpha_max) | trained
    alpha_min: float = 1.1
    alpha_max: float = 1.5
    half_life: float = 0.2  # share of the training in which an annealed alpha gets half way to alpha_max


@dataclass
class ConvolutionConfig:
    """One convolution over the codebook vectors of the neighbours, METHOD 4.2."""

    _target_: str = "fsar_lab.models.priors.convolution.Convolution"
    mask: str = "raster"  # raster: all that precede; checkerboard: two passes, the second sees the first
    kernel: int = 3  # odd side of the window
    detach_context: bool = True  # codebook vectors enter the convolution without gradient
    detach_posterior: bool = True  # coded symbols are constants for the rate term


# --- coder -----------------------------------------------------------------------------------


@dataclass
class LocationScaleConfig:
    """What every coder has whose pixels follow one (mean, log scale) distribution each, METHOD 2.1."""

    _target_: str = MISSING
    sigmoid_mean: bool = False
    log_scale_min: float = -7.0  # natural log of the scale, data range [0, 1]
    log_scale_max: float = 0.0
    num_scales: int = 64  # grid of the integer tables; 15 (the reference) costs about 0.03 bpd


@dataclass
class GaussianConfig(LocationScaleConfig):
    """Discretised Gaussian per sub-pixel with its tails folded into 0 and 255, METHOD 2.1."""

    _target_: str = "fsar_lab.models.coders.gaussian.Gaussian"


@dataclass
class GaussianMeanOffsetConfig(GaussianConfig):
    """Gaussian whose rounded mean is subtracted from the pixel modulo 256, METHOD 2.2."""

    _target_: str = "fsar_lab.models.coders.gaussian_mean_offset.GaussianMeanOffset"


@dataclass
class GaussianLinearARConfig(GaussianConfig):
    """Gaussian whose mean is shifted by a three-tap linear AR on pixels, METHOD 2.3."""

    _target_: str = "fsar_lab.models.coders.gaussian_linear_ar.GaussianLinearAR"
    sigmoid_mean: bool = True
    fit_images: int = 2048  # training images of the least-squares start; 0 starts from zero


@dataclass
class BitsBackConfig(GaussianConfig):
    """Gaussian pixels on sampled latents, coded with BB-ANS (arXiv:1901.04866)."""

    _target_: str = "fsar_lab.models.coders.bits_back.BitsBack"


@dataclass
class LogisticConfig(LocationScaleConfig):
    """Discretised logistic distribution per sub-pixel with its tails folded into 0 and 255, METHOD 2.1."""

    _target_: str = "fsar_lab.models.coders.logistic.Logistic"
    log_scale_min: float = -7.6  # standard deviations as the Gaussian's: pi / sqrt(3) times the scale
    log_scale_max: float = -0.6


@dataclass
class LogisticLinearARConfig(LogisticConfig):
    """Logistic distribution whose mean is shifted by a three-tap linear AR on pixels, METHOD 2.3."""

    _target_: str = "fsar_lab.models.coders.logistic_linear_ar.LogisticLinearAR"
    sigmoid_mean: bool = True
    fit_images: int = 2048  # training images of the least-squares start; 0 starts from zero


@dataclass
class LogisticMixtureConfig:
    """Three discretised logistics per sub-pixel, mixed (arXiv:1701.05517, eq. 2)."""

    _target_: str = "fsar_lab.models.coders.logistic_mixture.LogisticMixture"
    log_scale_min: float = -7.6
    log_scale_max: float = -0.6
    num_scales: int = 64
    weight_range: float = 8.0  # largest logit of a component's weight, relative to the third's


@dataclass
class ContextConfig:
    """Linear prediction by the texture around, static tables by the errors around; fitted, not trained."""

    _target_: str = "fsar_lab.models.coders.context.Context"
    states: int = 32  # contexts of each colour
    fit_images: int = 16_384  # training images in which the tables are counted


@dataclass
class CausalNetConfig:
    """Mixtures of logistics that a small network gives from the pixels before."""

    _target_: str = "fsar_lab.models.coders.causal_net.CausalNet"
    radius: int = 3  # of the window: rows up, and pixels to each side (with `pair`, whole pairs)
    width: int = 32  # channels of the residual stream
    blocks: int = 2
    inner: int = 32  # channels inside a block
    spatial: bool = True  # blocks see five places, not one
    hidden: int = 16  # units of each sample's head
    mixtures: int = 3  # logistics of each distribution
    pair: bool = False  # asked once for two pixels of a row: half the work but for the heads; no conditions
    conditions: int = (
        8  # bytes that the synthesis network says of every place; without a backbone there are none
    )
    round_from: float = 0.6  # share of the training from which weights and activations are rounded to 8 bits
    weights: str | None = None  # of fsar_lab/zoo/causal_net, to start from
    lr_share: float = 1.0  # of optimizer.lr, for this network alone: less where it has learned already


@dataclass
class FSARPixelsConfig:
    """Finite-state autoregressive pixels, METHOD 8.H."""

    _target_: str = "fsar_lab.models.coders.pixel_priors.FSARPixels"
    # Causal neighbours as [colour, row, column] offsets; the first varies slowest in the table.
    offsets: list[list[int]] = field(default_factory=lambda: [[0, -1, 0], [0, 0, -1]])
    dim: int = 32  # length of a grey level's learned vector
    hidden_expansion: int = 2
    train_share: float = 0.0625  # share of the positions, drawn anew for every batch, that is trained on


@dataclass
class ConvolutionPixelsConfig:
    """A masked convolution on the pixels' learned vectors, METHOD 8.H."""

    _target_: str = "fsar_lab.models.coders.pixel_priors.ConvolutionPixels"
    # raster: pixels that precede; checkerboard: two passes, the second sees the first; raster3d: colours are
    # planes in depth, coded one after the other with the same weights, and see those before
    mask: str = "raster"
    kernel: int = 3  # odd side of the window
    dim: int = 16  # length of a grey level's learned vector


# --- dataset ---------------------------------------------------------------------------------


@dataclass
class ImagesConfig:
    """What every data set has."""

    _target_: str = MISSING
    validation_images: int = 1000  # held out of the *training* data
    test_images: int | None = None  # null codes the whole test set
    flip: bool = True  # random horizontal flips of training images


@dataclass
class PhotosConfig(ImagesConfig):
    """Square tiles of photographs: random crops for training, a fixed grid for validation and test."""

    _target_: str = "fsar_lab.data.photos.Photos"
    root: str | None = None  # null: the lossless RGB photographs inside the scikit-image wheel
    tile: int = 32  # side in pixels
    validation_images: int = 256
    test_fraction: float = 0.2  # share of the photographs in `root` that become the test set


@dataclass
class CIFAR10Config(ImagesConfig):
    """CIFAR-10 through torchvision (downloads once)."""

    _target_: str = "fsar_lab.data.cifar10.CIFAR10"
    root: str = "${paths.data}/cifar10"
    download: bool = True
    validation_images: int = 5000


@dataclass
class NPZConfig(ImagesConfig):
    """A folder of .npz files with `data` uint8 [N, 3*S*S] and `labels`, e.g. downsampled ImageNet."""

    _target_: str = "fsar_lab.data.npz.NPZ"
    root: str = "${paths.data}/cifar10"
    side: int = 32
    validation_images: int = 5000


@dataclass
class ImageNetConfig(ImagesConfig):
    """Downsampled ImageNet in its official .npz files (arXiv:1707.08819), trained from disk."""

    _target_: str = "fsar_lab.data.imagenet.ImageNet"
    root: str = "${paths.data}/ImageNet"
    side: int = 32  # 32 or 64
    # Images in the training and in the validation files (which are the test set); null accepts any numbers.
    counts: list[int] | None = field(default_factory=lambda: [1_281_167, 50_000])
    cache: str | None = None  # folder for the unpacked pixels, 3 * side^2 bytes an image; null: `root`
    validation_images: int = 10_000


@dataclass
class AugmentConfig:
    """What else is done to training crops, METHOD 7; each with random numbers of the seed and step alone."""

    vertical_flip: bool = False
    gamma: float = 1.0  # levels are raised to a power between 1/gamma and gamma; 1 = off
    temperature: bool = False  # another colour of the light: a black body's of 3,000 to 15,000 K


@dataclass
class FolderConfig(ImagesConfig):
    """Any folder of images: crops of some to train on, tiles of others for validation, whole ones to test."""

    _target_: str = "fsar_lab.data.folder.Folder"
    # With subfolders `train`, `validation`, `test`, each is its part; of the others the pixels' hash decides.
    root: str | None = None
    tile: int = 64  # side of crops and tiles in pixels
    validation_images: int = 256
    validation_fraction: float = 0.1  # of the images, where there is no subfolder for it
    test_fraction: float = 0.1
    memory_gb: float = 2.0  # training images that need more are decoded anew for each crop
    augment: AugmentConfig = field(default_factory=AugmentConfig)


@dataclass
class OpenImagesConfig(ImagesConfig):
    """Open Images as scripts/prepare_openimages.py leaves them, tested on other sets, METHOD 7."""

    _target_: str = "fsar_lab.data.openimages.OpenImages"
    root: str = "${paths.data}/openimages"  # with clean_train and clean_val
    tile: int = 128
    validation_images: int = 500
    test_roots: list[str] = field(default_factory=lambda: ["${paths.data}/kodak", "${paths.data}/CLIC/valid"])
    test_multiple: int = 128  # test images lose their edges down to multiples of this; 1 keeps them whole
    augment: AugmentConfig = field(default_factory=lambda: AugmentConfig(True, 1.25, True))


@dataclass
class WholeImagesConfig:
    """A set of photographs of any sizes that is coded and never trained on."""

    _target_: str = MISSING
    root: str = MISSING
    test_images: int | None = None  # null codes them all
    test_multiple: int = 1  # photographs lose their edges down to multiples of this; 1 keeps them whole


@dataclass
class KodakConfig(WholeImagesConfig):
    """The 24 photographs of the Kodak Photo CD sampler."""

    _target_: str = "fsar_lab.data.test_sets.Kodak"
    root: str = "${paths.data}/kodak"


@dataclass
class CLIC2020Config(WholeImagesConfig):
    """The 41 photographs of the "professional" validation set of CLIC 2020."""

    _target_: str = "fsar_lab.data.test_sets.CLIC2020"
    root: str = "${paths.data}/CLIC/valid"


@dataclass
class FakeConfig(ImagesConfig):
    """Made images with photographic smoothness, for tests and dry runs."""

    _target_: str = "fsar_lab.data.fake.Fake"
    side: int = 32
    train_images: int = 512
    validation_images: int = 64
    test_images: int | None = 64
    seed: int = 0


# --- optimisation ----------------------------------------------------------------------------


@dataclass
class AdamConfig:
    """torch.optim.Adam."""

    _target_: str = "fsar_lab.optim.adam"
    lr: float = 4e-3
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])
    weight_decay: float = 0.0


@dataclass
class AdamWConfig(AdamConfig):
    """torch.optim.AdamW: decoupled weight decay."""

    _target_: str = "fsar_lab.optim.adamw"
    weight_decay: float = 0.01


@dataclass
class ConstantConfig:
    """Learning rate stays; METHOD 7 (the reference)."""

    _target_: str = "fsar_lab.optim.constant"


@dataclass
class WarmupCosineConfig:
    """Linear warm-up, then cosine decay to `final` of the peak; spans follow the training budget."""

    _target_: str = "fsar_lab.optim.warmup_cosine"
    warmup: float = 0.02  # fraction of training
    final: float = 0.01  # share of the peak learning rate at the end


@dataclass
class TrainerConfig:
    """How long, on what and how carefully to train."""

    accelerator: str = "cpu"  # cpu | gpu
    devices: int = 1
    train_images: int = 16_000  # images seen in all, repeats counted; schedules rescale to it
    batch_size: int = 16  # global: divided over devices
    validate_every: float = 0.1  # fraction of training between two validations
    checkpoint_minutes: float = 2.0
    gradient_clip: float = 1.0  # global norm; 0 switches clipping off
    ema_decay: float = 0.999  # weight average used for validation, export and coding; 0 = off
    deterministic: bool = False
    threads: int | None = None  # CPU threads of torch; null = all cores
    detect_anomaly: bool = False
    profile: bool = False  # write a step profile to the run directory
    overfit_batches: int = 0  # > 0: train on this many fixed batches (debug)
    resume: bool = (
        True  # go on with the run found in the run directory; false begins it anew, also in a sweep
    )


@dataclass
class StartConfig:
    """Parts taken from a finished run, e.g. to train a prior alone on the latents of a trained model."""

    run: str | None = None  # run directory; null: everything begins untrained
    load: list[str] = field(default_factory=lambda: ["backbone", "quantizer", "coder"])
    # Which of those are not trained.
    freeze: list[str] = field(default_factory=lambda: ["backbone", "quantizer", "coder"])


# --- logging and callbacks -------------------------------------------------------------------


@dataclass
class LoggerConfig:
    """Weights & Biases and TensorBoard; the run directory keeps its own curves in any case."""

    mode: str = "offline"  # of Weights & Biases: offline | online | none
    project: str = "fsar_lab"
    entity: str | None = None
    group: str | None = None  # null: in a sweep its name
    tags: list[str] = field(default_factory=list)  # the options of the groups are added: prior=fsar_o2s ...
    tensorboard: bool = False


@dataclass
class CodingConfig:
    """Coding of the test set for real, after training."""

    calibration_images: int = 512
    siblings: bool = True  # also code the same latents with the uniform prior
    baselines: list[str] = field(default_factory=list)  # e.g. [png, webp, jxl_e3, jxl_e7]


@dataclass
class CodingSpeedConfig:
    """Coding-speed measurement on test images."""

    enabled: bool = True
    batch_sizes: list[int] = field(default_factory=lambda: [1, 32, 0])  # 0 = all images
    max_images: int = 1024  # "all" means at most this many
    repeats: int = 3
    max_seconds: float = 60.0


@dataclass
class PicturesConfig:
    """Pictures with their bit maps and how the codes are used, logged at every validation."""

    enabled: bool = True
    images: int = 8


@dataclass
class CallbacksConfig:
    coding: CodingConfig = field(default_factory=CodingConfig)
    coding_speed: CodingSpeedConfig = field(default_factory=CodingSpeedConfig)
    pictures: PicturesConfig = field(default_factory=PicturesConfig)
    progress: bool = True


@dataclass
class PathsConfig:
    """Where data lies and runs go; the environment variables FSAR_DATA and FSAR_OUTPUT decide."""

    data: str = "${oc.env:FSAR_DATA,data}"
    output: str = "${oc.env:FSAR_OUTPUT,outputs}"


# --- root ------------------------------------------------------------------------------------


@dataclass
class TrainConfig:
    """The whole experiment. Groups are filled by the defaults list of conf/train.yaml."""

    name: str = "fsar"  # first part of the run directory's name
    seed: int = 0
    backbone: Any = MISSING
    quantizer: Any = MISSING
    anneal: AnnealConfig = field(default_factory=AnnealConfig)
    prior: Any = MISSING
    coder: Any = MISSING
    dataset: Any = MISSING
    optimizer: Any = MISSING
    schedule: Any = MISSING
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    start: StartConfig = field(default_factory=StartConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)
    paths: PathsConfig = field(default_factory=PathsConfig)
