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

# Base of python3.12-linux-x86_64-glibc: name:tag, or name:tag@sha256:digest to pin it.
variable "BASE_PYTHON3_12_LINUX_X86_64_GLIBC" {
  default = "python:3.12-slim"
}

# Base of node20-linux-x86_64-glibc: name:tag, or name:tag@sha256:digest to pin it.
variable "BASE_NODE20_LINUX_X86_64_GLIBC" {
  default = "node:20-slim"
}

# Base of node22-linux-x86_64-glibc: name:tag, or name:tag@sha256:digest to pin it.
variable "BASE_NODE22_LINUX_X86_64_GLIBC" {
  default = "node:22-slim"
}

group "default" {
  targets = [
    "node20-express-serverless-http-799453ae",
    "node20-smithy-core-smithy-node-http-handler-201b76ae",
    "node22-axios-form-data-39124d66",
    "node22-date-fns-nodemailer-125af069",
    "node22-smithy-core-aws-sdk-client-s3-e5615f0a",
    "py311-chameleon-2977d32b",
    "py311-httpx-anyio-3cbf8327",
    "py311-numpy-203e626a",
    "py311-urllib3-requests-e48519f4",
    "py312-fastapi-pydantic-ddd4d923",
    "py312-pillow-4561db52",
    "py312-pyjwt-cryptography-456d77d3",
    "py312-sqlalchemy-psycopg2-binary-e2179c1c",
    "py312-urllib3-requests-fc6b175e",
    "node20-pdf-lib-aws-sdk-client-s3-93cfebf1",
    "node20-smithy-core-aws-sdk-client-dynamodb-31f728e6",
    "py311-fastapi-numpy-5245800e",
    "py311-google-api-core-urllib3-14c5c9be",
    "py311-pandas-numpy-42c8f18e",
    "py311-pandas-numpy-99f0e5f5",
    "py311-scipy-scikit-learn-ff307520",
    "py311-urllib3-beautifulsoup4-c7469914",
    "py312-fastapi-pydantic-a060e0cd",
    "py312-reportlab-pillow-fa9a1c14",
    "py311-pandas-numpy-f38ca5b9",
    "py311-scipy-pandas-d77780a6",
  ]
}

target "node20-express-serverless-http-799453ae" {
  context    = "images/node20-express-serverless-http-799453ae"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-express-serverless-http-799453ae:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node20-smithy-core-smithy-node-http-handler-201b76ae" {
  context    = "images/node20-smithy-core-smithy-node-http-handler-201b76ae"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-smithy-core-smithy-node-http-handler-201b76ae:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node22-axios-form-data-39124d66" {
  context    = "images/node22-axios-form-data-39124d66"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE22_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node22-axios-form-data-39124d66:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node22-date-fns-nodemailer-125af069" {
  context    = "images/node22-date-fns-nodemailer-125af069"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE22_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node22-date-fns-nodemailer-125af069:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node22-smithy-core-aws-sdk-client-s3-e5615f0a" {
  context    = "images/node22-smithy-core-aws-sdk-client-s3-e5615f0a"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE22_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node22-smithy-core-aws-sdk-client-s3-e5615f0a:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-chameleon-2977d32b" {
  context    = "images/py311-chameleon-2977d32b"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-chameleon-2977d32b:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-httpx-anyio-3cbf8327" {
  context    = "images/py311-httpx-anyio-3cbf8327"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-httpx-anyio-3cbf8327:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-numpy-203e626a" {
  context    = "images/py311-numpy-203e626a"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-numpy-203e626a:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-urllib3-requests-e48519f4" {
  context    = "images/py311-urllib3-requests-e48519f4"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-urllib3-requests-e48519f4:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-fastapi-pydantic-ddd4d923" {
  context    = "images/py312-fastapi-pydantic-ddd4d923"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-fastapi-pydantic-ddd4d923:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-pillow-4561db52" {
  context    = "images/py312-pillow-4561db52"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-pillow-4561db52:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-pyjwt-cryptography-456d77d3" {
  context    = "images/py312-pyjwt-cryptography-456d77d3"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-pyjwt-cryptography-456d77d3:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-sqlalchemy-psycopg2-binary-e2179c1c" {
  context    = "images/py312-sqlalchemy-psycopg2-binary-e2179c1c"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-sqlalchemy-psycopg2-binary-e2179c1c:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-urllib3-requests-fc6b175e" {
  context    = "images/py312-urllib3-requests-fc6b175e"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-urllib3-requests-fc6b175e:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node20-pdf-lib-aws-sdk-client-s3-93cfebf1" {
  context    = "images/node20-pdf-lib-aws-sdk-client-s3-93cfebf1"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/node20-smithy-core-smithy-node-http-handler-201b76ae:1" = "target:node20-smithy-core-smithy-node-http-handler-201b76ae"
  }
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-pdf-lib-aws-sdk-client-s3-93cfebf1:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node20-smithy-core-aws-sdk-client-dynamodb-31f728e6" {
  context    = "images/node20-smithy-core-aws-sdk-client-dynamodb-31f728e6"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/node20-smithy-core-smithy-node-http-handler-201b76ae:1" = "target:node20-smithy-core-smithy-node-http-handler-201b76ae"
  }
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-smithy-core-aws-sdk-client-dynamodb-31f728e6:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-fastapi-numpy-5245800e" {
  context    = "images/py311-fastapi-numpy-5245800e"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-203e626a:1" = "target:py311-numpy-203e626a"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-fastapi-numpy-5245800e:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-google-api-core-urllib3-14c5c9be" {
  context    = "images/py311-google-api-core-urllib3-14c5c9be"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-urllib3-requests-e48519f4:1" = "target:py311-urllib3-requests-e48519f4"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-google-api-core-urllib3-14c5c9be:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-pandas-numpy-42c8f18e" {
  context    = "images/py311-pandas-numpy-42c8f18e"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-203e626a:1" = "target:py311-numpy-203e626a"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-pandas-numpy-42c8f18e:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-pandas-numpy-99f0e5f5" {
  context    = "images/py311-pandas-numpy-99f0e5f5"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-203e626a:1" = "target:py311-numpy-203e626a"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-pandas-numpy-99f0e5f5:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-scipy-scikit-learn-ff307520" {
  context    = "images/py311-scipy-scikit-learn-ff307520"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-203e626a:1" = "target:py311-numpy-203e626a"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-scipy-scikit-learn-ff307520:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-urllib3-beautifulsoup4-c7469914" {
  context    = "images/py311-urllib3-beautifulsoup4-c7469914"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-urllib3-requests-e48519f4:1" = "target:py311-urllib3-requests-e48519f4"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-urllib3-beautifulsoup4-c7469914:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-fastapi-pydantic-a060e0cd" {
  context    = "images/py312-fastapi-pydantic-a060e0cd"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-fastapi-pydantic-ddd4d923:1" = "target:py312-fastapi-pydantic-ddd4d923"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-fastapi-pydantic-a060e0cd:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-reportlab-pillow-fa9a1c14" {
  context    = "images/py312-reportlab-pillow-fa9a1c14"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-pillow-4561db52:1" = "target:py312-pillow-4561db52"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-reportlab-pillow-fa9a1c14:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-pandas-numpy-f38ca5b9" {
  context    = "images/py311-pandas-numpy-f38ca5b9"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-pandas-numpy-99f0e5f5:1" = "target:py311-pandas-numpy-99f0e5f5"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-pandas-numpy-f38ca5b9:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-scipy-pandas-d77780a6" {
  context    = "images/py311-scipy-pandas-d77780a6"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-scipy-scikit-learn-ff307520:1" = "target:py311-scipy-scikit-learn-ff307520"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-scipy-pandas-d77780a6:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}
