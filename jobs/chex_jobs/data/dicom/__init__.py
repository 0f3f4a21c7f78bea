"""DICOM objects: their headers as columns, and their pixels as the grey film that a reader would see."""

from chex_jobs.data.dicom.film import decode_dicom
from chex_jobs.data.dicom.grey import grey_values

__all__ = ["decode_dicom", "grey_values"]
