{{/*
Name of every object, or the beginning of it. 40 characters leave room for the longest suffix in 63. A Service's name starts with
a letter and has no dots; a release's name may differ. Whoever writes a name, a namespace or a label's value quotes it: `123`, `on` and
`true` are names that Kubernetes allows, and YAML takes them for something else.
*/}}
{{- define "chex-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- $full = default $full .Values.fullnameOverride | replace "." "-" -}}
{{- if regexMatch "^[0-9]" $full }}{{ $full = printf "chex-%s" $full }}{{ end -}}
{{- $full | trunc 40 | trimAll "-" -}}
{{- end -}}

{{- define "chex-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "chex-operator.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: chexdragon
{{- end -}}

{{- define "chex-operator.labels" -}}
{{ include "chex-operator.selectorLabels" . }}
{{ include "chex-operator.commonLabels" . }}
{{- end -}}

{{/* The Pod of `helm test`: other labels, so that neither Service nor PodDisruptionBudget takes it for an operator. */}}
{{- define "chex-operator.testSelectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end -}}

{{- define "chex-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "chex-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.create is false, so serviceAccount.name must say which one exists" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "chex-operator.image" -}}
{{- $image := .Values.image -}}
{{- if not $image.repository -}}
{{- fail "image.repository is not set: say where the operator's image lies, such as registry.example/chex-operator" -}}
{{- end -}}
{{- if not (or $image.digest $image.tag) -}}
{{- fail "image.digest is not set: give the digest that the build printed (sha256:...), or for a trial image.tag" -}}
{{- end -}}
{{- $image.repository -}}
{{- with $image.tag }}:{{ . }}{{ end -}}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What `restricted` Pod Security asks for, and a root file system that nothing writes to. */}}
{{- define "chex-operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "chex-operator.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
