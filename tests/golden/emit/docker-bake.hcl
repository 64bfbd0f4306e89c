# Made by warmset: all images of the plan, parents first.
#   docker buildx bake                                        builds them all
#   docker buildx bake --set '*.secrets=id=pip_conf,src=FILE' gives index settings as a secret (npmrc, ca likewise)

# Prefix of the tags: a registry and a path, with a slash at the end; empty for the local store.
variable "REGISTRY" {
  default = ""
}

variable "TAG" {
  default = "1"
}

# Base of python3.11-linux-x86_64-glibc: name:tag, or name:tag@sha256:digest to pin it.
variable "BASE_PYTHON3_11_LINUX_X86_64_GLIBC" {
  default = "python:3.11-slim"
}

# Base of python3.12-linux-aarch64-glibc: name:tag, or name:tag@sha256:digest to pin it.
variable "BASE_PYTHON3_12_LINUX_AARCH64_GLIBC" {
  default = "python:3.12-slim"
}

# Base of node20-linux-x86_64-glibc: name:tag, or name:tag@sha256:digest to pin it.
variable "BASE_NODE20_LINUX_X86_64_GLIBC" {
  default = "node:20-slim"
}

group "default" {
  targets = [
    "py311-numpy-1a2b",
    "py311-numpy-pandas-3f9a",
    "py312-jinja2-pyaes-77aa",
    "node20-ms-5c5c",
    "node20-debug-ms-6d6d",
  ]
}

target "py311-numpy-1a2b" {
  context    = "images/py311-numpy-1a2b"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-numpy-1a2b:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-numpy-pandas-3f9a" {
  context    = "images/py311-numpy-pandas-3f9a"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-1a2b:1" = "target:py311-numpy-1a2b"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-numpy-pandas-3f9a:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-jinja2-pyaes-77aa" {
  context    = "images/py312-jinja2-pyaes-77aa"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_AARCH64_GLIBC
  }
  platforms = ["linux/arm64"]
  tags      = ["${REGISTRY}warmset/py312-jinja2-pyaes-77aa:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node20-ms-5c5c" {
  context    = "images/node20-ms-5c5c"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-ms-5c5c:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node20-debug-ms-6d6d" {
  context    = "images/node20-debug-ms-6d6d"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-debug-ms-6d6d:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}
