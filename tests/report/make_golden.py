#!/usr/bin/env python3
"""Writes metrics_golden.json: random outputs, many of them tied, and scikit-learn's metrics of them."""

import json
import pathlib

import numpy as np
from sklearn import metrics
from sklearn.calibration import calibration_curve


def calibration(labels, predicted, confidence):
    right = predicted == labels
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, 11)[1:-1], confidence))
    counts = counts[counts > 0]
    return {
        "pictures": counts.tolist(),
        "confidence": mean.tolist(),
        "accuracy": accuracy.tolist(),
        "error": float(np.sum(counts * np.abs(accuracy - mean)) / counts.sum()),
    }


def multiclass(rng, rows, classes, ties, present=None):
    probabilities = rng.dirichlet(np.ones(classes), rows)
    if ties:
        probabilities = np.round(probabilities * 8) / 8
    labels = rng.integers(0, classes if present is None else present, rows)
    predicted = probabilities.argmax(1)
    every = list(range(classes))
    figures = {
        "accuracy": metrics.accuracy_score(labels, predicted),
        "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        "balanced_accuracy": metrics.recall_score(
            labels, predicted, labels=np.unique(labels), average="macro"
        ),
        "kappa": metrics.cohen_kappa_score(labels, predicted, labels=every),
        "quadratic_kappa": metrics.cohen_kappa_score(
            labels, predicted, labels=every, weights="quadratic"
        ),
    }
    if classes == 2:
        figures["auc"] = metrics.roc_auc_score(labels, probabilities[:, 1])
    else:
        figures["auc"] = np.mean(
            [
                metrics.roc_auc_score(labels == c, probabilities[:, c])
                for c in every
                if 0 < (labels == c).sum() < rows
            ]
        )
        if len(np.unique(labels)) == classes and not ties:
            whole = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
            assert abs(whole - figures["auc"]) < 1e-12
    return {
        "kind": "multiclass",
        "classes": [f"class {c}" for c in every],
        "probabilities": probabilities.tolist(),
        "labels": [[int(label)] for label in labels],
        "metrics": figures,
        "confusion": metrics.confusion_matrix(labels, predicted, labels=every).tolist(),
        "calibration": calibration(labels, predicted, probabilities.max(1)),
    }


def binary(rng, rows, ties):
    probabilities = np.round(rng.random(rows), 1 if ties else 17)
    labels = (rng.random(rows) < 0.3).astype(int)
    predicted = (probabilities > 0.5).astype(int)
    return {
        "kind": "binary",
        "classes": ["no", "yes"],
        "probabilities": [[p] for p in probabilities.tolist()],
        "labels": [[int(label)] for label in labels],
        "metrics": {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "kappa": metrics.cohen_kappa_score(labels, predicted),
            "quadratic_kappa": metrics.cohen_kappa_score(labels, predicted, weights="quadratic"),
            "auc": metrics.roc_auc_score(labels, probabilities),
        },
        "confusion": metrics.confusion_matrix(labels, predicted, labels=[0, 1]).tolist(),
        "calibration": calibration(
            labels, predicted, np.where(predicted == 1, probabilities, 1 - probabilities)
        ),
    }


def multilabel(rng, rows, classes, ties):
    probabilities = np.round(rng.random((rows, classes)), 1 if ties else 17)
    labels = (rng.random((rows, classes)) < 0.4).astype(int)
    predicted = (probabilities > 0.5).astype(int)
    return {
        "kind": "multilabel",
        "classes": [f"class {c}" for c in range(classes)],
        "probabilities": probabilities.tolist(),
        "labels": labels.tolist(),
        "metrics": {
            "exact_match": metrics.accuracy_score(labels, predicted),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro", zero_division=0),
            "auc": metrics.roc_auc_score(labels, probabilities, average="macro"),
        },
    }


def main():
    rng = np.random.default_rng(5)
    cases = [
        multiclass(rng, 40, 5, ties=False),
        multiclass(rng, 60, 4, ties=True),
        multiclass(rng, 30, 6, ties=True, present=4),
        multiclass(rng, 25, 2, ties=True),
        binary(rng, 40, ties=False),
        binary(rng, 50, ties=True),
        multilabel(rng, 40, 3, ties=False),
        multilabel(rng, 40, 4, ties=True),
    ]
    path = pathlib.Path(__file__).with_name("metrics_golden.json")
    path.write_text(json.dumps(cases, separators=(",", ":")).replace('{"kind"', '\n{"kind"') + "\n")


if __name__ == "__main__":
    main()
