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

variable "connect" {
  description = <<-EOT
    How people connect with what they were granted: a connection string of
    libpq without the user, such as `host=db.example.com dbname=app`. Without
    it they are told their user and nothing more.
  EOT
  type        = string
  default     = ""
  nullable    = false

  validation {
    condition     = can(regex("^[ -~]{0,500}$", var.connect))
    error_message = "connect is one line of at most 500 characters."
  }

  validation {
    condition = (
      trimspace(var.connect) == "" || (
        can(regex("^\\s*[a-z_]+\\s*=", var.connect)) &&
        !can(regex("(^|[\\s'])(user|password)\\s*=", var.connect))
      )
    )
    error_message = <<-EOT
      connect is written like "host=db.example.com dbname=app", without user
      and password: each person's user is added to it.
    EOT
  }
}

variable "connector" {
  description = <<-EOT
    The Lambda Connector, where the function is in another account than the
    flow: the module in connector/, made in that account. Without it the flow
    makes one beside itself.
  EOT
  type = object({
    account_id = string
    role_arn   = string
  })
  default = null
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

  validation {
    # IAM allows 64 characters.
    condition = length(join("-", [
      "sym", var.runtime.runtime_name, var.flow_name,
      "machine${var.runtime.global_suffix}"
    ])) <= 64
    error_message = <<-EOT
      The role of the flow's workflow would have a name of more than 64
      characters: shorten the flow_name ${var.flow_name}, the name of the Runtime
      ${var.runtime.runtime_name} or its global_suffix.
    EOT
  }
}

# Of any type, see fields.tf.
variable "flow_vars" {
  description = <<-EOT
    `request_channel` (`"#access-requests"`) is the Slack channel for requests,
    with its # or, as a private one, by its id; `approvers` a comma-separated
    list of e-mail addresses: those who approve where the rules name nobody
    else. `tell_approvers` is how approvers hear of a request in Slack:
    `mention` (the default) in the channel, `message` for a direct message with
    the buttons, `both` or `none`. Another field is refused.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition = try(length(setsubtract(
      keys(var.flow_vars), keys(local.fields.flow_vars)
    )) == 0, false)
    error_message = try(
      format(
        "flow_vars has no field %s. Its fields are %s.",
        join(" or ", setsubtract(
          keys(var.flow_vars), keys(local.fields.flow_vars)
        )),
        join(", ", keys(local.fields.flow_vars))
      ),
      "flow_vars must be an object, such as { approvers = \"…\" }."
    )
  }

  validation {
    condition = alltrue([
      for field in keys(local.fields.flow_vars) :
      can(tostring(try(var.flow_vars[field], null)))
    ])
    error_message = join("\n", [
      for field in keys(local.fields.flow_vars) : format(
        "flow_vars.%s must be a string, not %s.",
        field, jsonencode(try(var.flow_vars[field], null))
      ) if !can(tostring(try(var.flow_vars[field], null)))
    ])
  }

  validation {
    condition = alltrue([
      for address in try(split(",", coalesce(var.flow_vars.approvers)), []) :
      trimspace(address) == "" || (
        can(regex(local.address, trimspace(address))) &&
        length(trimspace(address)) <= 254
      )
    ])
    error_message = <<-EOT
      Each approver in flow_vars.approvers is an e-mail address, with commas
      between them, and has no letter that only looks like one of an address.
    EOT
  }

  validation {
    # Slack has private channels by their id alone.
    condition = try(
      var.flow_vars.request_channel == null, true
      ) || can(regex(
        "^(#[^\\s#@,]{1,80}|[CG][A-Z0-9]{2,32})$", var.flow_vars.request_channel
    ))
    error_message = <<-EOT
      The flow_vars.request_channel is a Slack channel with its #, or the
      channel's id.
    EOT
  }

  validation {
    condition = try(var.flow_vars.tell_approvers == null, true) || try(contains(
      ["mention", "message", "both", "none"], var.flow_vars.tell_approvers
    ), false)
    error_message = <<-EOT
      The flow_vars.tell_approvers is "mention", "message", "both" or "none",
      and not ${jsonencode(try(var.flow_vars.tell_approvers, null))}.
    EOT
  }
}

variable "function_arn" {
  description = "The Postgres function, which the Lambda Connector may call."
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

variable "groups" {
  description = <<-EOT
    People by a name that the rules have for them: lists of e-mail addresses.
    In a list of people the name is `group:<name>`, in a condition
    `"<name>" in requester.groups`.
  EOT
  type        = map(list(string))
  default     = {}
  nullable    = false

  validation {
    condition = length(var.groups) <= 100 && alltrue([
      for name in keys(var.groups) :
      can(regex("^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$", name))
    ])
    error_message = <<-EOT
      There are at most 100 groups. A group's name has letters, digits,
      underscores, dots and hyphens, and at most 100 of them.
    EOT
  }

  validation {
    condition = try(alltrue(flatten([
      for members in values(var.groups) : [
        for member in members : (
          can(regex(local.address, trimspace(member))) &&
          length(trimspace(member)) <= 254
        )
      ]
    ])), false)
    error_message = <<-EOT
      Each member of a group is an e-mail address, and has no letter that only
      looks like one of an address.
    EOT
  }
}

variable "label" {
  description = "What people read where the flow is offered."
  type        = string
  default     = "Postgres access"
  nullable    = false

  validation {
    condition     = can(regex("^[^[:cntrl:]]{1,100}$", var.label))
    error_message = <<-EOT
      The label is one line of 1 to 100 characters, and not
      ${jsonencode(var.label)}.
    EOT
  }
}

variable "log_retention_days" {
  description = "How many days CloudWatch keeps the workflow's log."
  type        = number
  default     = 90
  nullable    = false
}

# Of any type, since Terraform leaves out without a word what an object type
# does not know: a misspelt `deny` would be gone. All is checked below.
variable "rules" {
  description = <<-EOT
    Who may request and approve what, by the role_name of a target, or by `*`
    for all of them; docs/rules.md explains it. Every field is optional:
    `allow_self_approval`, `approval_timeout_seconds`, `approvals`,
    `approve_at_once` (a list of `name` and `when`), `approve_when`,
    `approvers`, `backup_after_seconds`, `backup_approvers`, `break_glass`
    (`people`, `when` and `max_duration_seconds`), `default_duration`, `deny`
    (a list of `name`, `when` and `message`), `max_duration`, `request_when`,
    `requesters`.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition = try(length(setsubtract(
      keys(var.rules), concat(["*"], var.targets[*].role_name)
    )) == 0, false)
    error_message = try(format(
      "The rules name %s, and no target has such a role_name.",
      join(" and ", setsubtract(
        keys(var.rules), concat(["*"], var.targets[*].role_name)
      ))
    ), "The rules are written by role_name, or by * for all targets.")
  }

  validation {
    condition = try(length(setsubtract(
      flatten([for fields in values(var.rules) : keys(fields)]),
      local.rule_fields
    )) == 0, false)
    error_message = try(format(
      "The rules have no field %s. Their fields are %s.",
      join(" or ", setsubtract(
        flatten([for fields in values(var.rules) : keys(fields)]),
        local.rule_fields
      )),
      join(", ", local.rule_fields)
    ), "Each target's rules are fields in braces.")
  }

  validation {
    condition = alltrue(flatten([
      for fields in try(values(var.rules), []) : [
        for field in ["allow_self_approval"] :
        can(tobool(try(fields[field], null)))
      ]
    ]))
    error_message = "In the rules, allow_self_approval is true or false."
  }

  validation {
    condition = alltrue(flatten([
      for fields in try(values(var.rules), []) : [
        for field, most in {
          approval_timeout_seconds = 2592000
          approvals                = 1000
          backup_after_seconds     = 2592000
          default_duration         = 2592000
          max_duration             = 2592000
        } :
        try(fields[field], null) == null || try(
          floor(fields[field]) == fields[field] &&
          fields[field] >= 1 && fields[field] <= most, false
        )
      ]
    ]))
    error_message = <<-EOT
      In the rules, approvals is a whole number from 1; and
      approval_timeout_seconds, backup_after_seconds, default_duration and
      max_duration are from 1 second to 30 days, in seconds.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for fields in try(values(var.rules), []) : [
        for field in ["approve_when", "request_when"] :
        try(fields[field], null) == null || can(tostring(fields[field]))
      ]
    ]))
    error_message = <<-EOT
      In the rules, approve_when and request_when are conditions: texts.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for fields in try(values(var.rules), []) : [
        for field, known in {
          approve_at_once = ["name", "when"]
          deny            = ["message", "name", "when"]
        } :
        try(fields[field], null) == null || try(alltrue([
          for rule in concat(fields[field], []) : (
            length(setsubtract(keys(rule), known)) == 0 &&
            length(setsubtract(["name", "when"], keys(rule))) == 0 &&
            alltrue([
              for name in ["name", "when"] : can(length(tostring(rule[name])))
            ]) &&
            can(tostring(lookup(rule, "message", "")))
          )
        ]), false)
      ]
    ]))
    error_message = <<-EOT
      In the rules, approve_at_once is a list of { name, when }, and deny is a
      list of { name, when, message }, of which the message can be left out.
    EOT
  }

  validation {
    condition = alltrue([
      for fields in try(values(var.rules), []) :
      try(fields.break_glass, null) == null || try(
        length(setsubtract(
          keys(fields.break_glass), ["max_duration_seconds", "people", "when"]
        )) == 0 &&
        can(concat(fields.break_glass.people, [])) &&
        can(tostring(lookup(fields.break_glass, "when", ""))) && (
          lookup(fields.break_glass, "max_duration_seconds", null) == null ||
          try(
            floor(fields.break_glass.max_duration_seconds) ==
            fields.break_glass.max_duration_seconds &&
            fields.break_glass.max_duration_seconds >= 1 &&
            fields.break_glass.max_duration_seconds <= 2592000, false
          )
        ), false
      )
    ])
    error_message = <<-EOT
      In the rules, break_glass has a list of people, and may have a condition
      as its when, and max_duration_seconds from 1 second to 30 days.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for fields in try(values(var.rules), []) : [
        for people in [
          try(fields.approvers, null),
          try(fields.backup_approvers, null),
          try(fields.break_glass.people, null),
          try(fields.requesters, null),
        ] :
        people == null || try(alltrue([
          for person in concat(people, []) : (
            startswith(trimspace(person), "group:") || trimspace(person) == "*"
            || (
              can(regex(local.address, trimspace(person))) &&
              length(trimspace(person)) <= 254
            )
          )
        ]), false)
      ]
    ]))
    error_message = <<-EOT
      In the rules, requesters, approvers, backup_approvers and
      break_glass.people are lists of e-mail addresses and of groups
      ("group:<name>"). An address has no letter that only looks like one.
    EOT
  }

  validation {
    condition = length(setsubtract(flatten([
      for fields in try(values(var.rules), []) : [
        for people in [
          try(fields.approvers, null),
          try(fields.backup_approvers, null),
          try(fields.break_glass.people, null),
          try(fields.requesters, null),
        ] :
        [
          for person in try(concat(people, []), []) :
          trimprefix(trimspace(person), "group:")
          if try(startswith(trimspace(person), "group:"), false)
        ]
      ]
    ]), keys(var.groups))) == 0
    error_message = <<-EOT
      The rules name a group that there is not. The groups are:
      ${join(", ", keys(var.groups))}.
    EOT
  }

  validation {
    condition = alltrue([
      for fields in try(values(var.rules), []) : (
        try(fields.requesters, null) == null ||
        try(length(fields.requesters) > 0, false)
        ) && alltrue(flatten([
          for people in [
            try(fields.approvers, []),
            try(fields.backup_approvers, []),
            try(fields.break_glass.people, []),
            ] : [
            for person in try(concat(people, []), []) :
            try(trimspace(person) != "*", true)
          ]
      ]))
    ])
    error_message = <<-EOT
      In the rules, requesters are never an empty list: everybody is ["*"]. In
      no other list of people is there a "*".
    EOT
  }
}

variable "runtime" {
  description = "The Runtime that the flow belongs to: the sym-runtime module."
  type = object({
    check_alias           = string
    code_version          = string
    connector_account_ids = list(string)
    connector_role_arn    = string
    error_topic_arn       = string
    flows_path            = string
    function_arn          = string
    function_name         = string
    global_suffix         = optional(string, "")
    runtime_name          = string
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

# Of any type, see fields.tf.
variable "targets" {
  description = <<-EOT
    The roles that people can ask for: a list of `role_name` (in PostgreSQL),
    `label` (what people read; the role_name by default), `max_duration` (3600)
    and `default_duration`, both in seconds. Without a default duration it is
    half an hour, or the longest if that is less. Another field is refused.
  EOT
  type        = any
  nullable    = false

  validation {
    condition = !can(keys(var.targets)) && can([
      for target in var.targets : keys(target)
    ])
    error_message = <<-EOT
      targets must be a list of objects, such as [{ role_name = "readonly" }].
    EOT
  }

  validation {
    condition     = try(length(var.targets) > 0, true)
    error_message = "A flow needs at least one target."
  }

  validation {
    condition = alltrue([
      for fields in try([for target in var.targets : keys(target)], []) :
      length(setsubtract(fields, keys(local.fields.targets))) == 0
    ])
    error_message = join("\n", [
      for index, fields in try([for target in var.targets : keys(target)], []) :
      format(
        "targets[%d] has no field %s. Its fields are %s.", index,
        join(" or ", setsubtract(fields, keys(local.fields.targets))),
        join(", ", keys(local.fields.targets))
      )
      if length(setsubtract(fields, keys(local.fields.targets))) > 0
    ])
  }

  validation {
    condition = alltrue(flatten([
      for target in try([for target in var.targets : target], []) : [
        for field, kind in local.fields.targets :
        kind == "number" ? can(tonumber(try(target[field], null)))
        : can(tostring(try(target[field], null)))
      ]
    ]))
    error_message = join("\n", flatten([
      for index, target in try([for target in var.targets : target], []) : [
        for field, kind in local.fields.targets : format(
          "targets[%d].%s must be a %s, not %s.",
          index, field, kind, jsonencode(try(target[field], null))
        )
        if !(
          kind == "number" ? can(tonumber(try(target[field], null)))
          : can(tostring(try(target[field], null)))
        )
      ]
    ]))
  }

  validation {
    condition = alltrue([
      for target in try([for target in var.targets : target], []) :
      # In base64 three bytes are four characters: 63 bytes are 84.
      try(length(base64encode(target.role_name)), 0) > 0 &&
      try(length(base64encode(target.role_name)), 0) <= 84
    ])
    error_message = join("\n", [
      for index, target in try([for target in var.targets : target], []) :
      format(
        "targets[%d] needs a role_name of 1 to 63 bytes, and has %s.",
        index, try(jsonencode(target.role_name), "none")
      )
      if !(
        try(length(base64encode(target.role_name)), 0) > 0 &&
        try(length(base64encode(target.role_name)), 0) <= 84
      )
    ])
  }

  validation {
    condition = alltrue([
      for target in try([for target in var.targets : target], []) :
      can(regex("^[A-Za-z0-9_.-]*$", try(tostring(target.role_name), "")))
    ])
    error_message = join("\n", [
      for index, target in try([for target in var.targets : target], []) :
      format(
        join(" ", [
          "targets[%d].role_name is %s: the target is named after it, so it may",
          "have letters, digits, underscores, dots and hyphens only.",
        ]),
        index, jsonencode(try(target.role_name, null))
      )
      if !can(regex("^[A-Za-z0-9_.-]*$", try(tostring(target.role_name), "")))
    ])
  }

  validation {
    condition = try(length(var.targets) == length(distinct([
      for target in var.targets : replace(target.role_name, "_", "-")
    ])), true)
    error_message = <<-EOT
      Two targets would have the same name: role_names that differ only in
      underscores and hyphens cannot be in one flow.
    EOT
  }

  validation {
    condition = alltrue([
      for target in try([for target in var.targets : target], []) :
      try(
        target.max_duration > 0 && target.max_duration <= 2592000 &&
        floor(target.max_duration) == tonumber(target.max_duration), true
      )
    ])
    error_message = join("\n", [
      for index, target in try([for target in var.targets : target], []) :
      format(
        join(" ", [
          "targets[%d].max_duration is %v: it must be 1 second to 30 days, in",
          "seconds.",
        ]),
        index, try(target.max_duration, null)
      )
      if !try(
        target.max_duration > 0 && target.max_duration <= 2592000 &&
        floor(target.max_duration) == tonumber(target.max_duration), true
      )
    ])
  }

  validation {
    condition = alltrue([
      for target in try([for target in var.targets : target], []) :
      try(
        target.default_duration > 0 &&
        target.default_duration <=
        try(coalesce(target.max_duration), 3600) &&
        floor(target.default_duration) == tonumber(target.default_duration), true
      )
    ])
    error_message = join("\n", [
      for index, target in try([for target in var.targets : target], []) :
      format(
        join(" ", [
          "targets[%d].default_duration is %v: it must be 1 second to the",
          "target's max_duration, which is %v.",
        ]),
        index, try(target.default_duration, null),
        try(coalesce(target.max_duration), 3600)
      )
      if !try(
        target.default_duration > 0 &&
        target.default_duration <=
        try(coalesce(target.max_duration), 3600) &&
        floor(target.default_duration) == tonumber(target.default_duration), true
      )
    ])
  }
}
