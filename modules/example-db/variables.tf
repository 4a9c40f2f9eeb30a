variable "architecture" {
  description = "The instruction set that the package was built for."
  type        = string
  default     = "arm64"
  nullable    = false

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "bastion_enabled" {
  description = "Whether there is a machine to reach the database through."
  type        = bool
  default     = false
  nullable    = false
}

variable "broker_user" {
  description = "The database user that grants and revokes roles."
  type        = string
  default     = "sym_broker"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.broker_user))
    error_message = <<-EOT
      The broker_user has small letters, digits and underscores, does not start
      with a digit, and is not longer than 63 bytes.
    EOT
  }
}

variable "engine_version" {
  description = <<-EOT
    The version of Aurora PostgreSQL. The default has long-term support: AWS
    withdraws others after about a year.
  EOT
  type        = string
  default     = "16.8"
  nullable    = false

  validation {
    condition     = startswith(var.engine_version, "16.")
    error_message = "The example database is an Aurora PostgreSQL 16."
  }
}

variable "namespace" {
  description = "What the name of everything here begins with."
  type        = string
  default     = "sym"
  nullable    = false

  validation {
    # Aurora allows 63 characters and no two hyphens in a row, IAM 64.
    condition = (
      can(regex("^[a-z][a-z0-9-]{0,45}$", var.namespace)) &&
      !strcontains(var.namespace, "--") && !endswith(var.namespace, "-")
    )
    error_message = <<-EOT
      The namespace starts with a small letter, has only small letters, digits
      and single hyphens, does not end with one, and is not longer than 46
      characters.
    EOT
  }
}

variable "package" {
  description = "The path of seed.zip."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no ${var.package}: run `make build` first."
  }
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc_cidr" {
  description = "The addresses of the network."
  type        = string
  default     = "10.71.0.0/16"
  nullable    = false

  validation {
    condition = try(
      cidrnetmask(var.vpc_cidr) != "" &&
      tonumber(split("/", var.vpc_cidr)[1]) >= 16 &&
      tonumber(split("/", var.vpc_cidr)[1]) <= 24,
      false
    )
    error_message = "The vpc_cidr is an IPv4 network from /16 to /24."
  }
}
