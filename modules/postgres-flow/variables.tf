variable "allow_self_approval" {
  description = "Whether those who ask may approve it themselves."
  type        = bool
  default     = false
  nullable    = false
}

variable "approval_timeout_seconds" {
  description = "How long a request waits for a decision before it expires."
  type        = number
  default     = 3600
  nullable    = false

  validation {
    condition = (
      var.approval_timeout_seconds > 0 &&
      var.approval_timeout_seconds <= 2592000 &&
      floor(var.approval_timeout_seconds) == var.approval_timeout_seconds
    )
    error_message = "A request waits from 1 second to 30 days, in seconds."
  }
}

variable "flow_name" {
  description = "What the flow is called, and its targets' names begin with."
  type        = string
  default     = "postgres"
  nullable    = false

  validation {
    # With the runtime's name before it, it has to fit into a role's name.
    condition     = can(regex("^[a-z][a-z0-9-]{0,19}$", var.flow_name))
    error_message = <<-EOT
      The flow's name starts with a small letter, has only small letters,
      digits and hyphens, and is not longer than 20 characters.
    EOT
  }
}

variable "flow_vars" {
  description = <<-EOT
    `request_channel` is the Slack channel for requests, `approvers` a
    comma-separated list of e-mail addresses.
  EOT
  type = object({
    approvers       = optional(string, "")
    request_channel = optional(string, "#access-requests")
  })
  default  = {}
  nullable = false

  validation {
    condition = (
      var.allow_self_approval ||
      trimspace(replace(coalesce(var.flow_vars.approvers, ","), ",", "")) != ""
    )
    error_message = <<-EOT
      Nobody could approve a request: name someone in flow_vars.approvers, or
      set allow_self_approval = true if people shall approve their own.
    EOT
  }

  validation {
    condition = alltrue([
      for address in split(",", coalesce(var.flow_vars.approvers, ",")) :
      trimspace(address) == "" ||
      can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", trimspace(address)))
    ])
    error_message = <<-EOT
      Each approver in flow_vars.approvers is an e-mail address, with commas
      between them.
    EOT
  }

  validation {
    condition     = try(startswith(var.flow_vars.request_channel, "#"), false)
    error_message = "The flow_vars.request_channel starts with #."
  }
}

variable "function_arn" {
  description = "The Postgres function, which the Lambda Connector may call."
  type        = string
  nullable    = false
}

variable "label" {
  description = "What people read where the flow is offered."
  type        = string
  default     = "Postgres access"
  nullable    = false
}

variable "log_retention_days" {
  description = "How many days CloudWatch keeps the workflow's log."
  type        = number
  default     = 90
  nullable    = false
}

variable "runtime" {
  description = "The Runtime that the flow belongs to: the sym-runtime module."
  type = object({
    connector_role_arn = string
    error_topic_arn    = string
    flows_path         = string
    function_arn       = string
    runtime_name       = string
  })
  nullable = false
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "targets" {
  description = <<-EOT
    The roles that people can ask for, and for how many seconds. Without a
    default duration it is half an hour, or the longest if that is less.
  EOT
  type = list(object({
    default_duration = optional(number)
    label            = optional(string)
    max_duration     = optional(number, 3600)
    role_name        = string
  }))
  nullable = false

  validation {
    condition     = length(var.targets) > 0
    error_message = "A flow needs at least one target."
  }

  validation {
    condition = alltrue([
      # In base64 three bytes are four characters: 63 bytes are 84.
      for target in var.targets :
      target.role_name != "" && length(base64encode(target.role_name)) <= 84
    ])
    error_message = "A target's role_name is 1 to 63 bytes long."
  }

  validation {
    condition = alltrue([
      for target in var.targets :
      can(regex("^[A-Za-z0-9_.-]+$", target.role_name))
    ])
    error_message = <<-EOT
      A target's role_name has letters, digits, underscores, dots and hyphens:
      its target is named after it.
    EOT
  }

  validation {
    condition = length(var.targets) == length(distinct([
      for target in var.targets : replace(target.role_name, "_", "-")
    ]))
    error_message = <<-EOT
      Two targets would have the same name: role_names that differ only in
      underscores and hyphens cannot be in one flow.
    EOT
  }

  validation {
    condition = alltrue([
      for target in var.targets : (
        target.max_duration > 0 && target.max_duration <= 2592000 &&
        floor(target.max_duration) == target.max_duration
      )
    ])
    error_message = "A max_duration is from 1 second to 30 days, in seconds."
  }

  validation {
    condition = alltrue([
      for target in var.targets : target.default_duration == null ? true : (
        target.default_duration > 0 &&
        target.default_duration <= target.max_duration &&
        floor(target.default_duration) == target.default_duration
      )
    ])
    error_message = <<-EOT
      A target's default_duration is at least 1 second and at most its
      max_duration, in seconds.
    EOT
  }
}
