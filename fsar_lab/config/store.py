"""Registers the dataclasses of the schema with Hydra, so that YAML files can build upon them."""

from __future__ import annotations

from hydra.core.config_store import ConfigStore

from fsar_lab.config import schema

# group -> option -> dataclass. A YAML file of the group begins with `defaults: [base_<option>, _self_]`.
SCHEMAS: dict[str, dict[str, type]] = {
    "backbone": {"none": schema.NoneConfig, "shallow": schema.ShallowConfig},
    "quantizer": {
        "none": schema.NoneConfig,
        "v2dvq": schema.STHQConfig,
        "vqvae": schema.VQVAEConfig,
        "vqvae_ema": schema.VQVAEEMAConfig,
        "entropy_bottleneck": schema.EntropyBottleneckConfig,
        "gaussian": schema.GaussianLatentsConfig,
        "mcquic": schema.McQuicConfig,
    },
    "anneal": {"anneal": schema.AnnealConfig},
    "prior": {
        "none": schema.NoneConfig,
        "uniform": schema.UniformConfig,
        "code_freq": schema.CodeFreqConfig,
        "fsar": schema.FSARConfig,
        "catreduce": schema.CatReduceConfig,
        "convolution": schema.ConvolutionConfig,
    },
    "coder": {
        "gaussian": schema.GaussianConfig,
        "gaussian_linear_ar": schema.GaussianLinearARConfig,
        "bits_back": schema.BitsBackConfig,
        "gaussian_mean_offset": schema.GaussianMeanOffsetConfig,
        "logistic": schema.LogisticConfig,
        "logistic_linear_ar": schema.LogisticLinearARConfig,
        "logistic_mixture": schema.LogisticMixtureConfig,
        "context": schema.ContextConfig,
        "causal_net": schema.CausalNetConfig,
        "fsar_pixels": schema.FSARPixelsConfig,
        "maskconv_pixels": schema.ConvolutionPixelsConfig,
    },
    "dataset": {
        "photos": schema.PhotosConfig,
        "cifar10": schema.CIFAR10Config,
        "npz": schema.NPZConfig,
        "imagenet": schema.ImageNetConfig,
        "openimages": schema.OpenImagesConfig,
        "folder": schema.FolderConfig,
        "kodak": schema.KodakConfig,
        "clic2020": schema.CLIC2020Config,
        "fake": schema.FakeConfig,
    },
    "optimizer": {"adam": schema.AdamConfig, "adamw": schema.AdamWConfig},
    "schedule": {"constant": schema.ConstantConfig, "warmup_cosine": schema.WarmupCosineConfig},
    "trainer": {"trainer": schema.TrainerConfig},
    "logger": {"logger": schema.LoggerConfig},
    "callbacks": {"callbacks": schema.CallbacksConfig},
    "paths": {"paths": schema.PathsConfig},
}


def register() -> None:
    """Put every dataclass into Hydra's ConfigStore as `<group>/base_<option>`, the root as `base_train`.

    Calling it again costs nothing, as every composition does.
    """
    store = ConfigStore.instance()
    if "base_train.yaml" in store.repo:
        return
    store.store(name="base_train", node=schema.TrainConfig)
    for group, options in SCHEMAS.items():
        for option, node in options.items():
            store.store(group=group, name=f"base_{option}", node=node)
