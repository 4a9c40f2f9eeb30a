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

# Of any type, see fields.tf.
variable "audit_bucket" {
  description = <<-EOT
    Whether to keep the audit records in a bucket too, in which nobody can
    change or delete a record for `retention_days` (S3 Object Lock). In the
    `mode` `GOVERNANCE` (the default) those with the right to bypass it can; in
    `COMPLIANCE` nobody can, not even the account's root, and the bucket cannot
    be emptied before the days are over. Another field is refused.
  EOT
  type        = any
  default     = null

  validation {
    condition = var.audit_bucket == null || try(length(setsubtract(
      keys(var.audit_bucket), keys(local.fields.audit_bucket)
    )) == 0, false)
    error_message = try(
      format(
        "audit_bucket has no field %s. Its fields are %s.",
        join(" or ", setsubtract(
          keys(var.audit_bucket), keys(local.fields.audit_bucket)
        )),
        join(", ", keys(local.fields.audit_bucket))
      ),
      "audit_bucket must be an object, such as { retention_days = 400 }."
    )
  }

  validation {
    condition = var.audit_bucket == null || contains(
      ["COMPLIANCE", "GOVERNANCE"],
      try(coalesce(var.audit_bucket.mode), "GOVERNANCE")
    )
    error_message = format(
      "audit_bucket.mode must be \"GOVERNANCE\" or \"COMPLIANCE\", not %s.",
      jsonencode(try(var.audit_bucket.mode, null))
    )
  }

  validation {
    condition = var.audit_bucket == null || try(
      var.audit_bucket.retention_days >= 1 &&
      var.audit_bucket.retention_days <= 36500 &&
      floor(var.audit_bucket.retention_days)
      == tonumber(var.audit_bucket.retention_days), false
    )
    error_message = format(
      join(" ", [
        "audit_bucket.retention_days must be a whole number of days from 1 to",
        "36500, not %s.",
      ]),
      jsonencode(try(var.audit_bucket.retention_days, null))
    )
  }
}

variable "audit_retention_days" {
  description = "How many days the audit log keeps a record; 0 is for ever."
  type        = number
  # A year, which auditors look back on, and time to do so.
  default  = 400
  nullable = false

  validation {
    condition = contains([
      0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096,
      1827, 2192, 2557, 2922, 3288, 3653,
    ], var.audit_retention_days)
    error_message = <<-EOT
      CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365,
      400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days, or for
      ever, which is 0.
    EOT
  }
}

variable "callers" {
  description = <<-EOT
    Who a signed caller of the API is: the ARN of an IAM user or role in the
    Runtime's own account to the e-mail address of the one person who uses it.
    Callers of other accounts get no further than API Gateway.
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
  description = <<-EOT
    Whether the table of requests refuses to be destroyed, and the audit log
    outlives the Runtime.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "error_channel" {
  description = <<-EOT
    The Slack channel that what needs a human is posted to, with its #. It is
    published to the error topic in any case.
  EOT
  type        = string
  default     = null

  validation {
    condition = var.error_channel == null || can(
      regex("^(#[^\\s#@,]{1,80}|[CG][A-Z0-9]{2,32})$", var.error_channel)
    )
    error_message = <<-EOT
      The error_channel is a Slack channel with its #, or the channel's id.
    EOT
  }
}

variable "global_suffix" {
  description = <<-EOT
    What the names end with that are not a region's own: those of IAM roles and
    of the audit bucket. A second region in the same account needs one, such as
    `-eu-west-1`. Flows take it from here.
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
    condition     = length("sym-${var.runtime_name}-reconcile${var.global_suffix}") <= 64
    error_message = <<-EOT
      The role sym-${var.runtime_name}-reconcile${var.global_suffix}
      would have a name of more than 64 characters: shorten runtime_name or the
      global_suffix.
    EOT
  }

  validation {
    # S3 allows 63 characters, of which an account's id is 12.
    condition = var.audit_bucket == null || length(
      "sym-${var.runtime_name}-audit-000000000000${var.global_suffix}"
    ) <= 63
    error_message = <<-EOT
      The bucket sym-${var.runtime_name}-audit-…${var.global_suffix} would have
      a name of more than 63 characters: shorten runtime_name or the
      global_suffix.
    EOT
  }
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
  description = <<-EOT
    Other accounts in which databases are: the Runtime may assume their /sym/
    roles, and those and the accounts' alarms may publish to the error topic.
  EOT
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

variable "slack_users" {
  description = <<-EOT
    People whom Slack knows by another e-mail address, or by none: the id of a
    Slack user to the e-mail address that the rules know.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = alltrue([
      for id in keys(var.slack_users) : can(regex("^[UW][A-Z0-9]{2,32}$", id))
    ])
    error_message = <<-EOT
      Each key of slack_users is the id of a Slack user, such as U012AB3CD. It
      is in their profile, under "Copy member ID".
    EOT
  }

  validation {
    condition = alltrue([
      for email in values(var.slack_users) :
      can(regex("^[!-?A-~]+@[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$", email))
    ])
    error_message = "Each value of slack_users is one e-mail address in ASCII."
  }
}

variable "slack_workspace_id" {
  description = <<-EOT
    The Slack workspace in which people ask, such as T0123456789. Without it
    there is the API alone.
  EOT
  type        = string
  default     = null

  validation {
    condition = var.slack_workspace_id == null || can(
      regex("^T[A-Z0-9]{2,32}$", var.slack_workspace_id)
    )
    error_message = <<-EOT
      The id of a Slack workspace begins with T: it stands in the address of
      Slack in a browser, app.slack.com/client/T…. An organisation's, with E, is
      not enough.
    EOT
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
    condition = can(regex(
      "^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", var.sym_org_slug
    ))
    error_message = <<-EOT
      The sym_org_slug has letters, digits, hyphens and underscores, and is not
      longer than 63 characters.
    EOT
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
