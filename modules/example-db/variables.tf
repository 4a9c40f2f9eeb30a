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

variable "availability_zones" {
  description = <<-EOT
    The zones of the two subnets, such as `us-east-1b`. By default the first two
    of the region. Name others if AWS says that a zone has no Lambda, or none of
    the bastion's machines.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = (
      length(var.availability_zones) == 0 ||
      length(distinct(var.availability_zones)) == 2 &&
      length(var.availability_zones) == 2
    )
    error_message = <<-EOT
      The availability_zones are two different zones, and not
      ${jsonencode(var.availability_zones)}.
    EOT
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
    # PostgreSQL keeps pg_ to itself.
    condition = (
      can(regex("^[a-z_][a-z0-9_]{0,62}$", var.broker_user)) &&
      !startswith(var.broker_user, "pg_")
    )
    error_message = <<-EOT
      The broker_user has small letters, digits and underscores, does not start
      with a digit or pg_, and is not longer than 63 bytes.
    EOT
  }
}

variable "certificate_authorities" {
  description = <<-EOT
    Further certificate authorities for the database's certificate, in PEM.
    GovCloud and China need those that AWS publishes for the region.
  EOT
  type        = string
  default     = null
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

variable "global_suffix" {
  description = <<-EOT
    What the names of the IAM roles end with: a second region in the same account
    needs one, such as `-eu-west-1`.
  EOT
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^(-[a-z0-9]+)*$", var.global_suffix))
    error_message = <<-EOT
      The global_suffix is empty or like "-eu-west-1": small letters and digits,
      with one hyphen at the beginning and between them, and not
      ${jsonencode(var.global_suffix)}.
    EOT
  }

  validation {
    # IAM allows 64 characters.
    condition     = length("${var.namespace}-example-bastion${var.global_suffix}") <= 64
    error_message = <<-EOT
      The role ${var.namespace}-example-bastion${var.global_suffix}
      would have a name of more than 64 characters: shorten namespace or the
      global_suffix.
    EOT
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
      !strcontains(var.namespace, "--") && !endswith(var.namespace, "-") &&
      # A security group's name does not begin with sg-.
      !startswith(var.namespace, "sg-")
    )
    error_message = <<-EOT
      The namespace starts with a small letter, has only small letters, digits
      and single hyphens, does not begin with sg-, does not end with a hyphen,
      and is not longer than 46 characters. It is ${jsonencode(var.namespace)}.
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

  validation {
    condition = alltrue([
      for key, value in var.tags : (
        can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", key)) &&
        can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value)) &&
        !startswith(lower(key), "aws:")
      )
    ])
    error_message = join("\n", [
      for key, value in var.tags : format(
        join(" ", [
          "The tag %q = %q is not allowed: a key has 1 to 128 letters, digits,",
          "spaces and _.:/=+-@ and does not begin with aws:, a value has at most",
          "256 of them.",
        ]), key, value == null ? "null" : value
      )
      if !(
        can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", key)) &&
        can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value)) &&
        !startswith(lower(key), "aws:")
      )
    ])
  }

  validation {
    # IAM does not tell capitals and small letters of a key apart.
    condition = length(var.tags) == length(distinct([
      for key in keys(var.tags) : lower(key)
    ]))
    error_message = <<-EOT
      Two tags differ in capitals alone, which IAM does not tell apart:
      ${join(", ", keys(var.tags))}.
    EOT
  }

  validation {
    # 50, less those of the provider's default_tags and the modules' own.
    condition     = length(var.tags) <= 40
    error_message = <<-EOT
      There are ${length(var.tags)} tags. AWS allows 50 on a resource; keep to
      40 here, for the modules and the provider add some.
    EOT
  }

  validation {
    condition     = !contains(keys(var.tags), "SymEnv")
    error_message = <<-EOT
      The tag SymEnv lets the Runtime Connector read a secret, so it cannot be
      on everything: leave it out of tags.
    EOT
  }
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
