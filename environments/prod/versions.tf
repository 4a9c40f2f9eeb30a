terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Where the state lives is a team's own business, and stands in a file that
  # is not committed:
  #
  #   # backend.hcl
  #   bucket = "my-team-terraform-state"
  #   key    = "sym/prod.tfstate"
  #   region = "us-east-1"
  #
  #   terraform init -backend-config=backend.hcl
  #
  # The lock is a file beside the state: no DynamoDB table is needed. Turn the
  # bucket's versioning on.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.aws_region

  default_tags {
    tags = {
      ManagedBy   = "terraform"
      Environment = var.runtime_name
      Project     = "sym-postgres-quickstart"
    }
  }
}
