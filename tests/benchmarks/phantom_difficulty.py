"""Is the phantom worth learning from? AUROC of a linear probe on features learned in three ways, for each finding.

    OMP_NUM_THREADS=1 python tests/benchmarks/phantom_difficulty.py [--patients 2000] [--epochs 12] [--arms random clip ...]

What must hold, or a demonstration on the phantom shows nothing: random features do clearly worse than supervised ones
(else it is too easy or the labels are noise), image + report training beats random features on findings that reports
mention, and findings that no report mentions gain less from it. The numbers are of generated films: they say something
about the phantom, nothing about medicine.

Seen with `--epochs 14 --learning-rate 2e-3` (2,948 films, one seed), mean AUROC of reported and of novel findings:
metadata alone 0.62 and 0.57, random 0.61 and 0.57, image + report 0.72 and 0.61, supervised 0.81 and 0.72. A fracture
(0.54 supervised) is beyond a network of this size and this many films.
"""

import argparse
import time

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from chex_api.encoder import ImageEncoder, TextEncoder
from chex_api.pretraining import Augmentation
from chex_jobs.data.loading.batch_source import BatchSource, evaluation_batches
from chex_jobs.data.phantom.findings import FINDING_NAMES, FINDINGS
from chex_jobs.data.phantom.generator import PhantomArchive
from chex_jobs.data.phantom.settings import PhantomSettings
from chex_jobs.data.reports.report_texts import ReportTexts
from chex_jobs.data.reports.tokens import TokenizedTexts
from chex_jobs.models import build_image_encoder, build_text_encoder, build_tokenizer
from chex_jobs.objectives.clip import Clip
from chex_jobs.objectives.supervised import Supervised

SIZE, BATCH, SEED = 64, 64, 0
ARMS = ("random", "clip", "supervised")


class Films:
    """A generated archive in memory, as loading wants it."""

    def __init__(self, patients: int, seed: int, hospital: int) -> None:
        archive = PhantomArchive(PhantomSettings(patients=patients, seed=seed, hospital=hospital, size=SIZE))
        rows = [archive.row(i) for i in range(len(archive))]
        began = time.perf_counter()
        self._films = [archive.film(i) for i in range(len(archive))]
        print(
            f"{len(archive)} films of hospital {hospital}: {len(archive) / (time.perf_counter() - began):.0f} films/s"
        )
        self.reports = [archive.report(i) for i in range(len(archive))]
        self.patients = np.unique([row.patient for row in rows], return_inverse=True)[1]
        self.studies = np.unique([row.study for row in rows], return_inverse=True)[1]
        self.truth = np.array([list(row.findings.values()) for row in rows], dtype=np.float32)
        self.metadata = np.array(
            [(row.age / 100, row.sex == "F", row.view == "AP") for row in rows], dtype=np.float32
        )

    def __len__(self) -> int:
        return len(self._films)

    def film(self, i: int) -> np.ndarray:
        return self._films[i]

    def labels(self, task: str) -> np.ndarray:
        return self.truth[:, FINDING_NAMES.index(task)]


def trained_encoder(arm: str, films: Films, epochs: int, learning_rate: float) -> torch.nn.Module:
    """Return the image encoder of one arm."""
    encoder = build_image_encoder(ImageEncoder(architecture="chex-densenet-small", size=SIZE), SEED)
    if arm == "random":
        return encoder
    spec = TextEncoder(max_tokens=48)
    texts = TokenizedTexts(ReportTexts(films.reports), build_tokenizer(spec), 48) if arm == "clip" else None
    if arm == "clip":
        objective: torch.nn.Module = Clip(
            encoder, build_text_encoder(spec, SEED), temperature=0.07, projection_dim=64, seed=SEED
        )
    else:
        objective = Supervised(encoder, num_tasks=len(FINDING_NAMES), seed=SEED)
    source = BatchSource(
        films, np.arange(len(films)), size=SIZE, global_batch_size=BATCH, seed=SEED, augmentation=Augmentation(),
        tasks=() if arm == "clip" else FINDING_NAMES, texts=texts,
    )  # fmt: skip
    optimizer = torch.optim.AdamW(objective.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, epochs * source.steps_per_epoch)
    began = time.perf_counter()
    with source:
        for epoch in range(epochs):
            losses = []
            for batch in source.epoch(epoch):
                loss = objective(batch).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
        print(
            f"{arm}: last loss {np.mean(losses):.3f}, {epochs * source.steps_per_epoch * BATCH / (time.perf_counter() - began):.0f}"
            f" films/s, waited {source.total_wait_seconds:.1f} s of {time.perf_counter() - began:.0f} s"
        )
    return encoder


@torch.no_grad()
def features(encoder: torch.nn.Module, films: Films) -> np.ndarray:
    """Return `[N, D]`."""
    encoder.eval()
    parts = [
        encoder(batch["images"][:, 0:1])
        for batch in evaluation_batches(films, np.arange(len(films)), size=SIZE, batch_size=256)
    ]
    return torch.cat(parts).numpy()


def probe(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray, test_y: np.ndarray) -> list[float]:
    """Return the test AUROC of a linear probe for each finding."""
    mean, std = train_x.mean(0), train_x.std(0) + 1e-6
    scores = []
    for column in range(train_y.shape[1]):
        model = LogisticRegression(C=0.03, max_iter=300).fit((train_x - mean) / std, train_y[:, column])
        scores.append(float(roc_auc_score(test_y[:, column], model.decision_function((test_x - mean) / std))))
    return scores


def main() -> None:
    """Train the arms and print one line for each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--hospital", type=int, default=0)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=ARMS)
    arguments = parser.parse_args()
    train = Films(arguments.patients, 0, arguments.hospital)
    test = Films(arguments.patients // 2, 1, arguments.hospital)

    reported = np.array([finding.reported for finding in FINDINGS])
    print(f"{'':>12}" + "".join(f"{name[:9]:>10}" for name in (*FINDING_NAMES, "reported", "novel")))

    def line(name: str, scores: list[float]) -> None:
        means = [float(np.mean(np.array(scores)[chosen])) for chosen in (reported, ~reported)]
        print(f"{name:>12}" + "".join(f"{score:10.3f}" for score in (*scores, *means)), flush=True)

    line("metadata", probe(train.metadata, train.truth, test.metadata, test.truth))
    for arm in arguments.arms:
        encoder = trained_encoder(arm, train, arguments.epochs, arguments.learning_rate)
        line(arm, probe(features(encoder, train), train.truth, features(encoder, test), test.truth))


if __name__ == "__main__":
    main()
