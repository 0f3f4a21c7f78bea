"""One module for each way films are published. A new one is a module, a member of `chex_api.dataset.Source` and a line here."""

from chex_api.dataset import Source as SourceSpec
from chex_jobs.data.records import Source


def open_source(spec: SourceSpec) -> Source:
    """Return the reader of a manifest's source. Nothing is read yet."""
    if spec.nih_chest_xray14 is not None:
        from chex_jobs.data.sources.nih_chest_xray14 import NihChestXray14Source

        return NihChestXray14Source(spec.nih_chest_xray14)
    if spec.covid_chest_xray is not None:
        from chex_jobs.data.sources.covid_chest_xray import CovidChestXraySource

        return CovidChestXraySource(spec.covid_chest_xray)
    if spec.table is not None:
        from chex_jobs.data.sources.table import TableSource

        return TableSource(spec.table)
    if spec.dicom_folder is not None:
        from chex_jobs.data.sources.dicom_folder import DicomFolderSource

        return DicomFolderSource(spec.dicom_folder)
    assert spec.phantom is not None
    from chex_jobs.data.sources.phantom import PhantomSource

    return PhantomSource(spec.phantom)
