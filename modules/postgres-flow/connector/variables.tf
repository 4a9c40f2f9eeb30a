variable "flow_name" {
  description = "The flow whose function the role calls."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.flow_name))
    error_message = <<-EOT
      The flow's name starts with a small letter, has only small letters,
      digits and hyphens, and is not longer than 20 characters.
    EOT
  }
}

variable "function_arn" {
  description = "The Postgres function, in the account that the role is in."
  type        = string
  nullable    = false

  validation {
    condition = can(regex(
      "^arn:[^:]+:lambda:[^:]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}$",
      var.function_arn
    ))
    error_message = <<-EOT
      function_arn must be the ARN of a Lambda function, without a version or an
      alias, not ${jsonencode(var.function_arn)}.
    EOT
  }
}

variable "runtime" {
  description = "The Runtime that the flow belongs to: the sym-runtime module."
  type = object({
    connector_role_arn = string
    global_suffix      = optional(string, "")
  })
  nullable = false
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
