"""DICOM objects as the grey films that a reader would see. Their headers: `chex_jobs.data.sources.dicom_header`."""

from chex_jobs.data.decoding.dicom.film import decode_dicom
from chex_jobs.data.decoding.dicom.grey import grey_values

__all__ = ["decode_dicom", "grey_values"]
