{{/* The name of everything of a release. */}}
{{- define "affidavit.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* Labels by which pods of a process are chosen: (list . "serve"). */}}
{{- define "affidavit.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* All labels: (list . "serve"). */}}
{{- define "affidavit.labels" -}}
{{ include "affidavit.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- with (index . 0).Values.cell.name }}
affidavit/cell: {{ . }}
{{- end }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "affidavit.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{/* What every pod has: (list . "serve"). No account of the cluster, no root, nothing to write to but what is mounted. */}}
{{- define "affidavit.pod" -}}
{{- $root := index . 0 }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.topologyKeys }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "affidavit.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What every container has: (list . "serve"). Settings of the process's own come after it, as `env`. */}}
{{- define "affidavit.container" -}}
{{- $root := index . 0 }}{{ $process := index . 1 }}
image: {{ include "affidavit.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml (index $root.Values $process).resources | nindent 2 }}
envFrom:
  - configMapRef: {name: {{ include "affidavit.name" $root }}-settings}
{{- end }}

{{/* The volumes of a process: (list . "serve"). */}}
{{- define "affidavit.volumes" -}}
{{- $root := index . 0 }}{{ $process := index . 1 }}
- name: secrets
  secret: {secretName: {{ index $root.Values.secrets $process }}, defaultMode: 288}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
{{- if and $root.Values.documents.volume (has $process (list "serve" "worker" "operator")) }}
- name: documents
  persistentVolumeClaim: {claimName: {{ include "affidavit.name" $root }}-documents}
{{- end }}
{{- if or $root.Values.cell.name $root.Values.several.cells }}
- name: directory
  {{- if $root.Values.directory.volume }}
  persistentVolumeClaim: {claimName: {{ include "affidavit.name" $root }}-directory}
  {{- else }}
  emptyDir: {sizeLimit: {{ $root.Values.directory.size }}}
  {{- end }}
{{- end }}
{{- if and $root.Values.several.cells (eq $process "serve") }}
- name: cells
  secret: {secretName: {{ $root.Values.several.secret }}, defaultMode: 288}
{{- end }}
{{- if and $root.Values.checkpoints.volume (eq $process "sealer") }}
- name: checkpoints
  persistentVolumeClaim: {claimName: {{ include "affidavit.name" $root }}-checkpoints}
{{- end }}
{{- end }}

{{/* Where a process finds them: (list . "serve"). */}}
{{- define "affidavit.mounts" -}}
{{- $root := index . 0 }}{{ $process := index . 1 }}
- {name: secrets, mountPath: /secrets, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if and $root.Values.documents.volume (has $process (list "serve" "worker" "operator")) }}
- {name: documents, mountPath: /documents}
{{- end }}
{{- if or $root.Values.cell.name $root.Values.several.cells }}
- {name: directory, mountPath: /directory}
{{- end }}
{{- if and $root.Values.several.cells (eq $process "serve") }}
- {name: cells, mountPath: /cells, readOnly: true}
{{- end }}
{{- if and $root.Values.checkpoints.volume (eq $process "sealer") }}
- {name: checkpoints, mountPath: /checkpoints}
{{- end }}
{{- end }}

{{/* A disruption budget: (list . "serve"). */}}
{{- define "affidavit.budget" -}}
{{- $root := index . 0 }}{{ $process := index . 1 -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "affidavit.name" $root }}-{{ $process }}
  labels: {{- include "affidavit.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "affidavit.selector" . | nindent 6 }}
{{- end }}
