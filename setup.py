"""What pyproject.toml cannot say: the compiled part of linwin.disks is built by cffi."""

from setuptools import setup

setup(cffi_modules=["linwin/disks/_ntfs_build.py:ffi"])
