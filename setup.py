"""Install `configs` inside the package, as `user_tf/configs`; all else is in setup.cfg."""

from setuptools import find_namespace_packages, find_packages, setup

CONFIGS = "user_tf.configs"

setup(
    packages=[
        *find_packages(include=["user_tf*", "data_pipeline*"]),
        CONFIGS,
        *(f"{CONFIGS}.{folder}" for folder in find_namespace_packages("configs")),
    ],
    package_dir={CONFIGS: "configs"},
)
