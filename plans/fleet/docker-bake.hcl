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
    "node20-aws-sdk-client-s3-smithy-core-2ef0efbe",
    "node20-express-serverless-http-799453ae",
    "node20-smithy-core-aws-sdk-client-dynamodb-ee0a56a2",
    "node22-axios-form-data-e5232a33",
    "node22-date-fns-5a0ceb9e",
    "node22-smithy-core-aws-sdk-client-s3-e5615f0a",
    "py311-chameleon-8bc6f013",
    "py311-fastapi-pydantic-f4cb06ec",
    "py311-httpx-anyio-3cbf8327",
    "py311-numpy-203e626a",
    "py311-urllib3-3b2af6ff",
    "py312-pillow-af3a0b48",
    "py312-pydantic-pydantic-core-809f95a6",
    "py312-pyjwt-cryptography-64f5c656",
    "py312-sqlalchemy-typing-extensions-75d1ebd7",
    "py312-urllib3-8c33bb02",
    "py311-fastapi-numpy-b20dffc8",
    "py311-pandas-numpy-42c8f18e",
    "py311-pandas-numpy-ca334dae",
    "py311-scipy-numpy-5daeb21b",
    "py311-urllib3-requests-e48519f4",
    "py312-fastapi-pydantic-37f40427",
    "py312-reportlab-pillow-578979d3",
    "py312-sqlalchemy-psycopg2-binary-10c9958e",
    "py311-google-api-core-urllib3-e7ec4f6e",
    "py311-pandas-numpy-32b72074",
    "py311-scipy-numpy-98a27a30",
    "py311-urllib3-beautifulsoup4-eac27acb",
    "py312-fastapi-pydantic-85865006",
    "py312-fastapi-pydantic-9ee2341e",
    "py311-pandas-numpy-35f1d4d6",
    "py311-scipy-scikit-learn-5a72618b",
    "py311-scipy-pandas-4dcb58f8",
  ]
}

target "node20-aws-sdk-client-s3-smithy-core-2ef0efbe" {
  context    = "images/node20-aws-sdk-client-s3-smithy-core-2ef0efbe"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-aws-sdk-client-s3-smithy-core-2ef0efbe:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
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

target "node20-smithy-core-aws-sdk-client-dynamodb-ee0a56a2" {
  context    = "images/node20-smithy-core-aws-sdk-client-dynamodb-ee0a56a2"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE20_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node20-smithy-core-aws-sdk-client-dynamodb-ee0a56a2:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node22-axios-form-data-e5232a33" {
  context    = "images/node22-axios-form-data-e5232a33"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE22_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node22-axios-form-data-e5232a33:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "node22-date-fns-5a0ceb9e" {
  context    = "images/node22-date-fns-5a0ceb9e"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_NODE22_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/node22-date-fns-5a0ceb9e:${TAG}"]
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

target "py311-chameleon-8bc6f013" {
  context    = "images/py311-chameleon-8bc6f013"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-chameleon-8bc6f013:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-fastapi-pydantic-f4cb06ec" {
  context    = "images/py311-fastapi-pydantic-f4cb06ec"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-fastapi-pydantic-f4cb06ec:${TAG}"]
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

target "py311-urllib3-3b2af6ff" {
  context    = "images/py311-urllib3-3b2af6ff"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-urllib3-3b2af6ff:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-pillow-af3a0b48" {
  context    = "images/py312-pillow-af3a0b48"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-pillow-af3a0b48:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-pydantic-pydantic-core-809f95a6" {
  context    = "images/py312-pydantic-pydantic-core-809f95a6"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-pydantic-pydantic-core-809f95a6:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-pyjwt-cryptography-64f5c656" {
  context    = "images/py312-pyjwt-cryptography-64f5c656"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-pyjwt-cryptography-64f5c656:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-sqlalchemy-typing-extensions-75d1ebd7" {
  context    = "images/py312-sqlalchemy-typing-extensions-75d1ebd7"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-sqlalchemy-typing-extensions-75d1ebd7:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-urllib3-8c33bb02" {
  context    = "images/py312-urllib3-8c33bb02"
  dockerfile = "Dockerfile"
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-urllib3-8c33bb02:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-fastapi-numpy-b20dffc8" {
  context    = "images/py311-fastapi-numpy-b20dffc8"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-fastapi-pydantic-f4cb06ec:1" = "target:py311-fastapi-pydantic-f4cb06ec"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-fastapi-numpy-b20dffc8:${TAG}"]
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

target "py311-pandas-numpy-ca334dae" {
  context    = "images/py311-pandas-numpy-ca334dae"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-203e626a:1" = "target:py311-numpy-203e626a"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-pandas-numpy-ca334dae:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-scipy-numpy-5daeb21b" {
  context    = "images/py311-scipy-numpy-5daeb21b"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-numpy-203e626a:1" = "target:py311-numpy-203e626a"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-scipy-numpy-5daeb21b:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-urllib3-requests-e48519f4" {
  context    = "images/py311-urllib3-requests-e48519f4"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-urllib3-3b2af6ff:1" = "target:py311-urllib3-3b2af6ff"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-urllib3-requests-e48519f4:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-fastapi-pydantic-37f40427" {
  context    = "images/py312-fastapi-pydantic-37f40427"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-pydantic-pydantic-core-809f95a6:1" = "target:py312-pydantic-pydantic-core-809f95a6"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-fastapi-pydantic-37f40427:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-reportlab-pillow-578979d3" {
  context    = "images/py312-reportlab-pillow-578979d3"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-pillow-af3a0b48:1" = "target:py312-pillow-af3a0b48"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-reportlab-pillow-578979d3:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-sqlalchemy-psycopg2-binary-10c9958e" {
  context    = "images/py312-sqlalchemy-psycopg2-binary-10c9958e"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-sqlalchemy-typing-extensions-75d1ebd7:1" = "target:py312-sqlalchemy-typing-extensions-75d1ebd7"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-sqlalchemy-psycopg2-binary-10c9958e:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-google-api-core-urllib3-e7ec4f6e" {
  context    = "images/py311-google-api-core-urllib3-e7ec4f6e"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-urllib3-requests-e48519f4:1" = "target:py311-urllib3-requests-e48519f4"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-google-api-core-urllib3-e7ec4f6e:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-pandas-numpy-32b72074" {
  context    = "images/py311-pandas-numpy-32b72074"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-pandas-numpy-ca334dae:1" = "target:py311-pandas-numpy-ca334dae"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-pandas-numpy-32b72074:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-scipy-numpy-98a27a30" {
  context    = "images/py311-scipy-numpy-98a27a30"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-scipy-numpy-5daeb21b:1" = "target:py311-scipy-numpy-5daeb21b"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-scipy-numpy-98a27a30:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-urllib3-beautifulsoup4-eac27acb" {
  context    = "images/py311-urllib3-beautifulsoup4-eac27acb"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-urllib3-requests-e48519f4:1" = "target:py311-urllib3-requests-e48519f4"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-urllib3-beautifulsoup4-eac27acb:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-fastapi-pydantic-85865006" {
  context    = "images/py312-fastapi-pydantic-85865006"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-fastapi-pydantic-37f40427:1" = "target:py312-fastapi-pydantic-37f40427"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-fastapi-pydantic-85865006:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py312-fastapi-pydantic-9ee2341e" {
  context    = "images/py312-fastapi-pydantic-9ee2341e"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py312-fastapi-pydantic-37f40427:1" = "target:py312-fastapi-pydantic-37f40427"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_12_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py312-fastapi-pydantic-9ee2341e:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-pandas-numpy-35f1d4d6" {
  context    = "images/py311-pandas-numpy-35f1d4d6"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-pandas-numpy-32b72074:1" = "target:py311-pandas-numpy-32b72074"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-pandas-numpy-35f1d4d6:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-scipy-scikit-learn-5a72618b" {
  context    = "images/py311-scipy-scikit-learn-5a72618b"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-scipy-numpy-98a27a30:1" = "target:py311-scipy-numpy-98a27a30"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-scipy-scikit-learn-5a72618b:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}

target "py311-scipy-pandas-4dcb58f8" {
  context    = "images/py311-scipy-pandas-4dcb58f8"
  dockerfile = "Dockerfile"
  contexts = {
    "warmset/py311-scipy-scikit-learn-5a72618b:1" = "target:py311-scipy-scikit-learn-5a72618b"
  }
  args = {
    BASE_IMAGE = BASE_PYTHON3_11_LINUX_X86_64_GLIBC
  }
  platforms = ["linux/amd64"]
  tags      = ["${REGISTRY}warmset/py311-scipy-pandas-4dcb58f8:${TAG}"]
  labels = {
    "warmset.plan" = "fleet"
  }
}
