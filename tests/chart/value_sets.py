"""Values that platform teams give: each is rendered, and all that holds for every release is checked on it."""

from typing import Any

RELEASE_OF_53_CHARACTERS = "radiology-research-training-operator-of-the-north-eas"

VALUE_SETS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "one namespace": {"watchNamespace": "radiology"},
    "one namespace, everything switched on": {
        "watchNamespace": "radiology",
        "crds": {"enabled": True, "keep": True},
        "aggregatedRoles": {"enabled": True},
        "serviceMonitor": {"enabled": True},
        "prometheusRule": {"enabled": True},
        "dashboard": {"enabled": True},
    },
    "CRDs installed apart": {"crds": {"enabled": False}},
    "CRDs that go with the release": {"crds": {"keep": False}},
    "monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}, "interval": "1m"},
        "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
    },
    "a single replica": {"replicas": 1, "podDisruptionBudget": {"enabled": False}},
    "a tag for trying out": {"image": {"repository": "registry.example/chex-operator", "tag": "0.1.0"}},
    "an image that needs a Secret to be pulled": {
        "image": {
            "repository": "registry.example:5000/team/chex-operator",
            "tag": "0.1.0",
            "digest": "sha256:" + "a" * 64,
            "pullPolicy": "Always",
            "pullSecrets": ["registry"],
        }
    },
    "a closed network": {
        "networkPolicy": {
            "apiServer": {"cidrs": ["10.0.0.1/32", "fd00::/64"], "ports": [6443]},
            "metricsFrom": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
            ],
        }
    },
    "peers and labels of every form": {
        "networkPolicy": {
            "metricsFrom": [
                {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}},
                {"ipBlock": {"cidr": "fd00::/8"}},
                {
                    "namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "Exists"}]},
                    "podSelector": {
                        "matchExpressions": [{"key": "app", "operator": "In", "values": ["123", "on"]}]
                    },
                },
            ]
        },
        "podLabels": {"example.com/team": "123"},
        "tolerations": [
            {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 3600},
            {"key": "example.com/team", "value": "123"},
        ],
    },
    "a network without policies": {"networkPolicy": {"enabled": False}},
    "placed": {
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]
                }
            }
        },
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "radiology"},
        "podAnnotations": {"example.com/reviewed": "yes"},
    },
    "an account that exists": {"serviceAccount": {"create": False, "name": "given"}},
    "an account with a cloud role": {"serviceAccount": {"annotations": {"example.com/role": "operator"}}},
    "other names": {"nameOverride": "chex", "fullnameOverride": "training-operator"},
    "a name of 53 characters": {"fullnameOverride": RELEASE_OF_53_CHARACTERS},
    "an API server behind a proxy": {
        "proxy": {"https": "http://proxy.example:3128", "exceptions": ".svc,10.96.0.0/12"}
    },
    "a busy cluster": {
        "replicas": 3,
        "concurrency": 64,
        "logLevel": "WARNING",
        "resources": {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"cpu": 2, "memory": "1Gi"}},
    },
}
