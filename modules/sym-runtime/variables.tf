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

variable "callers" {
  description = <<-EOT
    Who a signed caller of the API is: the ARN of an IAM user or role to the
    e-mail address of the one person who uses it.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for arn in keys(var.callers) : can(regex("^arn:[^:]+:(iam|sts)::", arn))
    ])
    error_message = "Each key of callers is the ARN of an IAM user or role."
  }

  validation {
    condition = alltrue([
      for email in values(var.callers) :
      can(regex("^[^@\\s,]+@[^@\\s,]+\\.[^@\\s,]+$", email))
    ])
    error_message = "Each value of callers is one e-mail address."
  }
}

variable "deletion_protection" {
  description = "Whether the table of requests refuses to be destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "log_retention_days" {
  description = "How many days CloudWatch keeps the logs."
  type        = number
  default     = 90
  nullable    = false
}

variable "package" {
  description = "The path of runtime.zip."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no ${var.package}: run `make build` first."
  }
}

variable "runtime_name" {
  description = "What the Runtime and all that belongs to it is called."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}$", var.runtime_name))
    error_message = <<-EOT
      The runtime name starts with a small letter, has only small letters,
      digits and hyphens, and is not longer than 31 characters.
    EOT
  }
}

variable "safelist_account_ids" {
  description = "Other accounts whose /sym/ roles the Runtime may assume."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for id in var.safelist_account_ids : can(regex("^[0-9]{12}$", id))
    ])
    error_message = "An AWS account id is 12 digits."
  }
}

variable "secret_recovery_days" {
  description = "How many days a deleted secret can be brought back; 0 is none."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition = (
      var.secret_recovery_days == 0 ||
      (var.secret_recovery_days >= 7 && var.secret_recovery_days <= 30)
    )
    error_message = "Secrets Manager keeps a deleted secret 0 or 7 to 30 days."
  }
}

variable "sym_account_ids" {
  description = <<-EOT
    Outside accounts that may assume the Runtime Connector too, with the
    external id. None by default.
  EOT
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for id in var.sym_account_ids : can(regex("^[0-9]{12}$", id))
    ])
    error_message = "An AWS account id is 12 digits."
  }
}

variable "sym_org_slug" {
  description = "The short name of the organisation."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]*$", var.sym_org_slug))
    error_message = "The org slug has letters, digits, hyphens and underscores."
  }
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
