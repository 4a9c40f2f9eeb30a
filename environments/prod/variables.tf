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
}

variable "architecture" {
  description = "The instruction set that the functions were built for."
  type        = string
  default     = "arm64"
  nullable    = false
}

variable "audit_bucket" {
  description = <<-EOT
    Whether to keep the audit records in a bucket too, which nobody can change
    or empty for `retention_days` (S3 Object Lock). `mode` is `GOVERNANCE` (the
    default) or `COMPLIANCE`; in the latter not even the account's root can.
  EOT
  # The module sym-runtime checks every field of it.
  type    = any
  default = null
}

variable "audit_retention_days" {
  description = "How many days CloudWatch keeps the audit records."
  type        = number
  default     = 400
  nullable    = false
}

variable "aws_region" {
  description = "The region that everything is put into."
  type        = string
  default     = "us-east-1"
  nullable    = false
}

variable "bastion_enabled" {
  description = "Whether there is a machine to reach the database through."
  type        = bool
  default     = false
  nullable    = false
}

variable "callers" {
  description = <<-EOT
    Who a signed caller of the API is: the ARN of an IAM user or role in this
    account to the e-mail address of the one person who uses it.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "certificate_authorities" {
  description = <<-EOT
    Further certificate authorities for the database's certificate, in PEM:
    your own, or RDS's in GovCloud and China. Those of RDS in all other regions
    are known. The Postgres function then has to reach Secrets Manager.
  EOT
  type        = string
  default     = null
}

variable "connect" {
  description = <<-EOT
    What people are told to connect with once they hold a role: a connection
    string of libpq without the user. By default it is where the Postgres
    function connects to.
  EOT
  type        = string
  default     = null
}

variable "db_availability_zones" {
  description = <<-EOT
    The two zones of the example database, such as `us-east-1b`; by default the
    first two of the region.
  EOT
  type        = list(string)
  default     = []
  nullable    = false
}

variable "db_enabled" {
  description = <<-EOT
    Whether to make the example database and grant roles in it. If not, say
    with pg_connection_config and lambda_subnet_ids where yours is.
  EOT
  type        = bool
  default     = false
  nullable    = false

  validation {
    condition     = var.db_enabled || length(local.missing) == 0
    error_message = <<-EOT
      With a database of your own (db_enabled is false) there is still to set:
      ${join(", ", local.missing)}.
    EOT
  }
}

variable "db_namespace" {
  description = "What the names of the example database begin with."
  type        = string
  default     = "sym"
  nullable    = false

  validation {
    condition = !var.db_enabled || can(regex(
      "^[a-z][a-z0-9-]{0,45}$", "${var.db_namespace}-${var.runtime_name}"
    ))
    error_message = <<-EOT
      db_namespace and runtime_name together name the example database:
      ${jsonencode("${var.db_namespace}-${var.runtime_name}")} must be small
      letters, digits and hyphens, begin with a letter, and be at most 46
      characters long.
    EOT
  }
}

variable "end_sessions" {
  description = <<-EOT
    Whether a user's sessions are ended when a role is taken back and they hold
    it by no other way. One that did `SET ROLE` would keep it until its end.
  EOT
  type        = bool
  default     = true
  nullable    = false
}

variable "error_channel" {
  description = <<-EOT
    The Slack channel for what needs a human. It is published to the error topic
    too.
  EOT
  type        = string
  default     = "#sym-errors"
}

variable "flow_name" {
  description = <<-EOT
    What the flow is called. The Lambda Connector is named after it: two
    environments in one account need two names.
  EOT
  type        = string
  default     = "postgres"
  nullable    = false
}

variable "flow_vars" {
  description = <<-EOT
    `request_channel` (`"#access-requests"`) is the Slack channel for requests,
    `approvers` a comma-separated list of e-mail addresses. `tell_approvers` is
    how approvers hear of a request in Slack: `mention` (the default),
    `message`, `both` or `none`.
  EOT
  # The module postgres-flow checks every field of it.
  type     = any
  default  = {}
  nullable = false
}

variable "global_suffix" {
  description = <<-EOT
    What the names of IAM roles and of the audit bucket end with. A second region
    in the same account needs one, such as `-eu-west-1`.
  EOT
  type        = string
  default     = ""
  nullable    = false
}

variable "groups" {
  description = <<-EOT
    People by a name that the rules have for them: lists of e-mail addresses.
  EOT
  type        = map(list(string))
  default     = {}
  nullable    = false
}

variable "lambda_security_group_ids" {
  description = <<-EOT
    Security groups for the Postgres function beside its own, such as one that
    your database lets in.
  EOT
  type        = list(string)
  default     = []
  nullable    = false
}

variable "lambda_subnet_ids" {
  description = <<-EOT
    The subnets that the Postgres function runs in. From them it must reach the
    database and, for its password, Secrets Manager.
  EOT
  type        = list(string)
  default     = []
  nullable    = false
}

variable "on_end" {
  description = <<-EOT
    What happens to what the holder of a role made or was given through it when
    the role is taken back: `report` tells people, `revoke` also takes back what
    is safe to take back. Nothing is ever dropped.
  EOT
  type        = string
  default     = "report"
  nullable    = false
}

variable "package_dir" {
  description = "Where `make build` put the functions."
  type        = string
  default     = "../../functions/dist"
  nullable    = false
}

# Of any type, see fields.tf.
variable "pg_connection_config" {
  description = <<-EOT
    Your database, and the user that setup.sql made for the function: `host`,
    `port` (5432), `database` (`postgres`) and `user`. `auth` is `secret` (the
    default: the password is in the secret of the output password_secret_arn)
    or `iam` (a token of RDS, which wants the `resource_id` of the instance or
    cluster). `sslmode` is `verify-full` (the default), `verify-ca` or
    `require`.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition = try(length(setsubtract(
      keys(var.pg_connection_config), keys(local.fields.pg_connection_config)
    )) == 0, false)
    error_message = try(
      format(
        "pg_connection_config has no field %s. Its fields are %s.",
        join(" or ", setsubtract(
          keys(var.pg_connection_config),
          keys(local.fields.pg_connection_config)
        )),
        join(", ", keys(local.fields.pg_connection_config))
      ),
      "pg_connection_config must be an object, such as { host = \"…\" }."
    )
  }

  validation {
    condition = alltrue([
      for field, kind in local.fields.pg_connection_config :
      kind == "number" ? can(tonumber(try(var.pg_connection_config[field], null)))
      : can(tostring(try(var.pg_connection_config[field], null)))
    ])
    error_message = join("\n", [
      for field, kind in local.fields.pg_connection_config : format(
        "pg_connection_config.%s must be a %s, not %s.", field, kind,
        jsonencode(try(var.pg_connection_config[field], null))
      )
      if !(
        kind == "number" ? can(tonumber(try(var.pg_connection_config[field], null)))
        : can(tostring(try(var.pg_connection_config[field], null)))
      )
    ])
  }

  validation {
    # The modules check it again, under their own variables' names.
    condition = try(var.pg_connection_config.host, null) == null || !can(regex(
      "[/@ \\t]|^[^:]*:[^:]*$", var.pg_connection_config.host
    ))
    error_message = format(
      join(" ", [
        "pg_connection_config.host must be a host name or an address, without a",
        "scheme, a port or a space, not %s. The port goes into",
        "pg_connection_config.port.",
      ]),
      jsonencode(try(var.pg_connection_config.host, null))
    )
  }

  validation {
    condition = try(var.pg_connection_config.resource_id, null) == null || can(regex(
      "^((db|cluster)-[A-Z0-9]+|prx-[0-9a-z]+)$",
      var.pg_connection_config.resource_id
    ))
    error_message = format(
      join(" ", [
        "pg_connection_config.resource_id must be the resource ID of an RDS",
        "instance (db-…), an Aurora cluster (cluster-…) or a proxy (prx-…),",
        "neither a name nor an ARN, not %s.",
      ]),
      jsonencode(try(var.pg_connection_config.resource_id, null))
    )
  }
}

variable "pg_targets" {
  description = <<-EOT
    The roles that people can ask for: a list of `role_name`, `label`,
    `max_duration` (3600) and `default_duration`, both in seconds. The example
    database has readonly and readwrite.
  EOT
  # Of any type, see fields.tf.
  type     = any
  nullable = false

  validation {
    condition = !can(keys(var.pg_targets)) && can([
      for target in var.pg_targets : keys(target)
    ])
    error_message = <<-EOT
      pg_targets must be a list of objects, such as
      [{ role_name = "readonly" }].
    EOT
  }

  validation {
    condition = alltrue([
      for fields in try([for target in var.pg_targets : keys(target)], []) : (
        length(setsubtract(fields, keys(local.fields.pg_targets))) == 0 &&
        contains(fields, "role_name")
      )
    ])
    error_message = join("\n", flatten([
      for index, fields in try(
        [for target in var.pg_targets : keys(target)], []
        ) : concat(
        [
          for field in setsubtract(fields, keys(local.fields.pg_targets)) :
          format(
            "pg_targets[%d] has no field %s. Its fields are %s.", index, field,
            join(", ", keys(local.fields.pg_targets))
          )
        ],
        contains(fields, "role_name") ? [] : [
          format("pg_targets[%d] needs a role_name, and has none.", index)
        ]
      )
    ]))
  }

  validation {
    condition = alltrue(flatten([
      for target in try([for target in var.pg_targets : target], []) : [
        for field, kind in local.fields.pg_targets :
        kind == "number" ? can(tonumber(try(target[field], null)))
        : can(tostring(try(target[field], null)))
      ]
    ]))
    error_message = join("\n", flatten([
      for index, target in try([for target in var.pg_targets : target], []) : [
        for field, kind in local.fields.pg_targets : format(
          "pg_targets[%d].%s must be a %s, not %s.",
          index, field, kind, jsonencode(try(target[field], null))
        )
        if !(
          kind == "number" ? can(tonumber(try(target[field], null)))
          : can(tostring(try(target[field], null)))
        )
      ]
    ]))
  }
}

variable "readers" {
  description = <<-EOT
    Where your database's read replicas are, so that the sessions that use a
    role end there too: `cluster_id` or `instance_id` (RDS is asked for them),
    `hosts`, and with auth = `iam` their `resource_ids`. An Aurora cluster's
    are found without it. docs/database.md has more.
  EOT
  # The module postgres-lambda checks every field of it.
  type     = any
  default  = {}
  nullable = false
}

variable "rules" {
  description = <<-EOT
    Who may request and approve what, by the role_name of a target, or by `*`
    for all of them. docs/rules.md has every field, and examples.
  EOT
  # The module postgres-flow checks every field of it.
  type     = any
  default  = {}
  nullable = false
}

variable "runtime_name" {
  description = <<-EOT
    What the Runtime and all that belongs to it is called: small letters,
    digits and hyphens.
  EOT
  type        = string
  default     = "prod"
  nullable    = false
}

variable "safelist_account_ids" {
  description = <<-EOT
    Other accounts in which databases are: the Runtime may assume their /sym/
    roles, and those and the accounts' alarms may publish to the error topic.
  EOT
  type        = set(string)
  default     = []
  nullable    = false
}

variable "slack_users" {
  description = <<-EOT
    People whom Slack knows by another e-mail address, or by none: e-mail
    addresses by the ids of Slack's users.
  EOT
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "slack_workspace_id" {
  description = <<-EOT
    The Slack workspace in which people ask, such as T0123456789. Without it
    there is the API alone.
  EOT
  type        = string
  default     = null
}

variable "sym_account_ids" {
  description = <<-EOT
    Outside accounts that may assume the Runtime Connector too, with the
    external id. None by default.
  EOT
  type        = set(string)
  default     = []
  nullable    = false
}

variable "sym_org_slug" {
  description = "The short name of the organisation."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    # IAM does not tell capitals and small letters of a key apart.
    condition = alltrue([
      for key in keys(var.tags) : !contains(
        ["environment", "managedby", "project"], lower(key)
      ) || contains(["Environment", "ManagedBy", "Project"], key)
    ])
    error_message = <<-EOT
      Every resource has the tags Environment, ManagedBy and Project. Write them
      in this way to replace them: IAM refuses a second key that differs in
      capitals alone. tags has ${join(", ", keys(var.tags))}.
    EOT
  }
}

variable "unknown_users" {
  description = <<-EOT
    What happens to a person whom the database does not know: `existing`
    refuses them, `create` makes a user without a password. The latter needs
    `setup.sql` with `-v create_users=on`.
  EOT
  type        = string
  default     = "existing"
  nullable    = false
}

variable "username_from" {
  description = <<-EOT
    What of a person's e-mail address is their database user: its `local_part`
    with hyphens turned to underscores, or the whole `email`.
  EOT
  type        = string
  default     = "local_part"
  nullable    = false
}

variable "usernames" {
  description = "E-mail address to database user, for those who differ."
  type        = map(string)
  default     = {}
  nullable    = false
}
