"""One module for each way films are published. A new one is a module, a member of `chex_api.dataset.Source` and a line here.

Readers are imported when they are needed: a table needs no DICOM library, and no file a generator.
"""

from collections.abc import Callable
from typing import Any

from chex_api import dataset as api
from chex_jobs.data.records.film_table import Source


def _nih_chest_xray14(settings: api.NihChestXray14) -> Source:
    from chex_jobs.data.sources.nih_chest_xray14 import NihChestXray14Source

    return NihChestXray14Source(settings)


def _covid_chest_xray(settings: api.CovidChestXray) -> Source:
    from chex_jobs.data.sources.covid_chest_xray import CovidChestXraySource

    return CovidChestXraySource(settings)


def _table(settings: api.Table) -> Source:
    from chex_jobs.data.sources.table import TableSource

    return TableSource(settings)


def _dicom_folder(settings: api.DicomFolder) -> Source:
    from chex_jobs.data.sources.dicom_folder import DicomFolderSource

    return DicomFolderSource(settings)


def _phantom(settings: api.Phantom) -> Source:
    from chex_jobs.data.sources.phantom import PhantomSource

    return PhantomSource(settings)


READERS: dict[type[api.SourceSettings], Callable[[Any], Source]] = {
    api.NihChestXray14: _nih_chest_xray14,
    api.CovidChestXray: _covid_chest_xray,
    api.Table: _table,
    api.DicomFolder: _dicom_folder,
    api.Phantom: _phantom,
}
"""The reader of each source. A test holds the keys equal to the members of `chex_api.dataset.Source`."""


def open_source(spec: api.Source) -> Source:
    """Return the reader of a manifest's source. Nothing is read yet."""
    settings = spec.settings
    return READERS[type(settings)](settings)
