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

variable "auth" {
  description = <<-EOT
    How the function logs in: `secret` with a password from Secrets Manager,
    `iam` with a token of RDS.
  EOT
  type        = string
  default     = "secret"
  nullable    = false

  validation {
    condition     = contains(["iam", "secret"], var.auth)
    error_message = "The function logs in with auth = \"secret\" or \"iam\"."
  }
}

variable "certificate_authorities" {
  description = <<-EOT
    Further certificate authorities for the database's certificate, in PEM:
    your own, or RDS's in GovCloud and China. Those of RDS in all other regions
    and those of the system are known. They are kept in a secret, which the
    function has to reach: by an endpoint of Secrets Manager or a NAT gateway.
  EOT
  type        = string
  default     = null
}

# Of any type, see fields.tf.
variable "connection" {
  description = <<-EOT
    The database, and the user that the function logs in as: `host`, `port`
    (5432), `database` (`postgres`) and `user`. Another field is refused.
  EOT
  type        = any
  nullable    = false

  validation {
    condition = try(length(setsubtract(
      keys(var.connection), keys(local.fields.connection)
    )) == 0, false)
    error_message = try(
      format(
        "connection has no field %s. Its fields are %s.",
        join(" or ", setsubtract(
          keys(var.connection), keys(local.fields.connection)
        )),
        join(", ", keys(local.fields.connection))
      ),
      "connection must be an object, such as { host = \"…\", user = \"…\" }."
    )
  }

  validation {
    condition = alltrue([
      for field in ["database", "host", "user"] :
      can(tostring(try(var.connection[field], null)))
    ])
    error_message = join("\n", [
      for field in ["database", "host", "user"] : format(
        "connection.%s must be a string, not %s.",
        field, jsonencode(try(var.connection[field], null))
      )
      if !can(tostring(try(var.connection[field], null)))
    ])
  }

  validation {
    condition = can(regex(
      "^([A-Za-z0-9_]([A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$",
      var.connection.host
    ))
    error_message = format(
      join(" ", [
        "connection.host must be a host name or an address, without a scheme,",
        "a port or a space, not %s. The port goes into connection.port.",
      ]),
      jsonencode(try(var.connection.host, null))
    )
  }

  validation {
    condition = try(var.connection.port, null) == null || try(
      var.connection.port >= 1 && var.connection.port <= 65535 &&
      floor(var.connection.port) == tonumber(var.connection.port), false
    )
    error_message = format(
      "connection.port must be a number from 1 to 65535, not %s.",
      jsonencode(try(var.connection.port, null))
    )
  }

  validation {
    condition = (
      can(regex("^[^/*?$]+$", var.connection.user)) &&
      # In base64 three bytes are four characters: 63 bytes are 84.
      try(length(base64encode(var.connection.user)) <= 84, false)
    )
    error_message = format(
      "connection.user must be 1 to 63 bytes without / * ? and $, not %s.",
      jsonencode(try(var.connection.user, null))
    )
  }

  validation {
    condition = try(var.connection.database, null) == null || try(
      length(base64encode(var.connection.database)) <= 84 &&
      tostring(var.connection.database) != "", false
    )
    error_message = format(
      "connection.database must be the name of a database, not %s.",
      jsonencode(try(var.connection.database, null))
    )
  }
}

variable "db_resource_id" {
  description = <<-EOT
    The resource id of the RDS instance (`db-…`) or Aurora cluster
    (`cluster-…`). Needed where auth is `iam`.
  EOT
  type        = string
  default     = null

  validation {
    condition     = var.auth != "iam" || var.db_resource_id != null
    error_message = "To log in with auth = \"iam\" set db_resource_id too."
  }

  validation {
    condition = var.db_resource_id == null || can(regex(
      local.resource_id, var.db_resource_id
    ))
    error_message = <<-EOT
      db_resource_id must be the resource ID of an RDS instance (db-…), an
      Aurora cluster (cluster-…) or a proxy (prx-…), and neither a name nor an
      ARN, not ${jsonencode(var.db_resource_id)}. The console shows it under
      Configuration, and the provider's attribute is resource_id or
      cluster_resource_id.
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

variable "error_topic_arn" {
  description = <<-EOT
    The SNS topic that the alarms go to, in the function's region. It may be in
    another account, if the Runtime there has this one in safelist_account_ids.
  EOT
  type        = string
  nullable    = false

  validation {
    condition = can(regex(
      "^arn:[^:]+:sns:[^:]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$",
      var.error_topic_arn
    ))
    error_message = <<-EOT
      error_topic_arn must be the ARN of an SNS topic that is not FIFO, not
      ${jsonencode(var.error_topic_arn)}.
    EOT
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
    condition     = length("${var.name}-sweep${var.global_suffix}") <= 64
    error_message = <<-EOT
      The role ${var.name}-sweep${var.global_suffix}
      would have a name of more than 64 characters: shorten name or the
      global_suffix.
    EOT
  }
}

variable "log_retention_days" {
  description = "How many days CloudWatch keeps the log."
  type        = number
  default     = 90
  nullable    = false
}

variable "max_duration_seconds" {
  description = <<-EOT
    The longest grant that the function makes, and the expiry of one that comes
    without a duration.
  EOT
  type        = number
  default     = 86400
  nullable    = false

  validation {
    condition = (
      var.max_duration_seconds > 0 && var.max_duration_seconds <= 2592000 &&
      floor(var.max_duration_seconds) == var.max_duration_seconds
    )
    error_message = "The longest grant is from 1 second to 30 days, in seconds."
  }
}

variable "name" {
  description = "What the function and all that belongs to it is called."
  type        = string
  nullable    = false

  validation {
    # IAM allows 64 characters, and the sweep's role adds six.
    # A security group's name does not begin with sg-.
    condition = (
      can(regex("^[A-Za-z0-9_-]{1,58}$", var.name)) &&
      !startswith(lower(var.name), "sg-")
    )
    error_message = <<-EOT
      The name has letters, digits, hyphens and underscores, is not longer than
      58 characters and does not begin with sg-. It is ${jsonencode(var.name)}.
    EOT
  }
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

  validation {
    condition     = contains(["report", "revoke"], var.on_end)
    error_message = "The on_end is report or revoke."
  }
}

variable "package" {
  description = "The path of postgres.zip."
  type        = string
  nullable    = false

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no ${var.package}: run `make build` first."
  }
}

# Of any type, see fields.tf.
variable "readers" {
  description = <<-EOT
    Where the database's read replicas are, so that the sessions that use a
    role end there too. An Aurora cluster's readers are found without it.
    `cluster_id` or `instance_id` has RDS's API asked for them: of an RDS
    instance, a Multi-AZ DB cluster, an Aurora global database, or an Aurora
    cluster behind a proxy or another name. `hosts` are others, as
    `host` or `host:port`. With auth = `iam` the function logs in to them as
    well: `resource_ids` are those of RDS read replicas (`db-…`) and of the
    clusters in a global database, beside db_resource_id. Another field is
    refused.
  EOT
  type        = any
  default     = {}
  nullable    = false

  validation {
    condition = try(length(setsubtract(
      keys(var.readers), keys(local.fields.readers)
    )) == 0, false)
    error_message = try(
      format(
        "readers has no field %s. Its fields are %s.",
        join(" or ", setsubtract(
          keys(var.readers), keys(local.fields.readers)
        )),
        join(", ", keys(local.fields.readers))
      ),
      "readers must be an object, such as { instance_id = \"…\" }."
    )
  }

  validation {
    condition = alltrue([
      for field, kind in local.fields.readers : (
        !can(var.readers[field]) ||
        try(var.readers[field] == null, false) ||
        (
          kind == "string" ? can(tostring(var.readers[field]))
          : !can(keys(var.readers[field])) && can([
            for one in var.readers[field] : length(tostring(one))
          ])
        )
      )
    ])
    error_message = join("\n", [
      for field, kind in local.fields.readers : format(
        "readers.%s must be a %s, not %s.",
        field, kind, jsonencode(try(var.readers[field], null))
      )
      if !(
        !can(var.readers[field]) ||
        try(var.readers[field] == null, false) ||
        (
          kind == "string" ? can(tostring(var.readers[field]))
          : !can(keys(var.readers[field])) && can([
            for one in var.readers[field] : length(tostring(one))
          ])
        )
      )
    ])
  }

  validation {
    condition = (
      try(var.readers.cluster_id, null) == null ||
      try(var.readers.instance_id, null) == null
    )
    error_message = <<-EOT
      The readers are those of a cluster_id or of an instance_id, not of both.
    EOT
  }

  validation {
    condition = alltrue([
      for host in try([for host in var.readers.hosts : tostring(host)], []) :
      can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}(:[1-9][0-9]{0,4})?$", host))
      && try(tonumber(split(":", host)[1]), 1) <= 65535
    ])
    error_message = join("\n", [
      for host in try([for host in var.readers.hosts : tostring(host)], []) :
      format(
        join(" ", [
          "A reader in readers.hosts must be a host name or address, and maybe a",
          "colon and a port, without a scheme or a space, not %s.",
        ]), jsonencode(host)
      )
      if !(
        can(regex("^[A-Za-z0-9_][A-Za-z0-9._-]{0,252}(:[1-9][0-9]{0,4})?$", host))
        && try(tonumber(split(":", host)[1]), 1) <= 65535
      )
    ])
  }

  validation {
    condition = alltrue([
      for id in try([for id in var.readers.resource_ids : tostring(id)], []) :
      can(regex(local.resource_id, id))
    ])
    error_message = <<-EOT
      Each of readers.resource_ids must be the resource ID of an RDS instance
      (db-…) or Aurora cluster (cluster-…), not its name or ARN. They are
      ${jsonencode(try(var.readers.resource_ids, null))}.
    EOT
  }

  validation {
    condition = alltrue([
      for field in ["cluster_id", "instance_id"] : (
        try(var.readers[field], null) == null || can(regex(
          "^(arn:[^:]+:rds:[^:]+:[0-9]{12}:(db|cluster):)?[A-Za-z][A-Za-z0-9-]{0,62}$",
          var.readers[field]
        ))
      )
    ])
    error_message = <<-EOT
      readers.cluster_id and readers.instance_id must be the identifier of a
      cluster or an instance in RDS, or its ARN, not
      ${jsonencode(try(var.readers.cluster_id, var.readers.instance_id, null))}.
    EOT
  }
}

variable "reserved_concurrency" {
  description = <<-EOT
    How many copies of the function run at most, each with one connection to
    the database; -1 is no limit but the account's.
  EOT
  type        = number
  default     = -1
  nullable    = false

  validation {
    # With none the sweep would not run.
    condition = (
      var.reserved_concurrency == -1 || var.reserved_concurrency >= 1
    ) && floor(var.reserved_concurrency) == var.reserved_concurrency
    error_message = <<-EOT
      reserved_concurrency must be -1 or at least 1, not
      ${var.reserved_concurrency}: with 0 nothing would be taken back.
    EOT
  }
}

variable "roles" {
  description = "The roles that the function may grant. It refuses all others."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.roles) > 0
    error_message = "Name at least one role that the function may grant."
  }

  validation {
    condition = alltrue([
      # In base64 three bytes are four characters: 63 bytes are 84.
      for role in var.roles :
      role != "" && length(base64encode(role)) <= 84
    ])
    error_message = "A role's name in PostgreSQL is 1 to 63 bytes long."
  }

  validation {
    condition = alltrue([
      for role in var.roles : trimspace(role) == role && !strcontains(role, ",")
    ])
    error_message = <<-EOT
      A role's name has no comma in it and no space at its beginning or end.
    EOT
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

variable "security_group_ids" {
  description = "Security groups of the function beside its own, at most 4."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition = length(var.security_group_ids) <= 4 && alltrue([
      for id in var.security_group_ids : can(regex("^sg-[0-9a-z]+$", id))
    ])
    error_message = <<-EOT
      security_group_ids must be at most 4 IDs of security groups (sg-…): Lambda
      allows 5, and the function has one of its own. They are
      ${jsonencode(var.security_group_ids)}.
    EOT
  }
}

variable "sslmode" {
  description = "How much the function asks of the database's certificate."
  type        = string
  default     = "verify-full"
  nullable    = false

  validation {
    condition = contains(
      ["require", "verify-ca", "verify-full"], var.sslmode
    )
    error_message = "The sslmode is verify-full, verify-ca or require."
  }
}

variable "subnet_ids" {
  description = "The subnets that the function runs in, all of one network."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0
    error_message = "Name at least one subnet from which the database is seen."
  }

  validation {
    condition = length(var.subnet_ids) <= 16 && alltrue([
      for id in var.subnet_ids : can(regex("^subnet-[0-9a-z]+$", id))
    ])
    error_message = <<-EOT
      subnet_ids must be at most 16 IDs of subnets (subnet-…). They are
      ${jsonencode(var.subnet_ids)}.
    EOT
  }
}

variable "sweep_rate" {
  description = "How often what has expired is swept up."
  type        = string
  default     = "rate(1 minute)"
  nullable    = false

  validation {
    condition = can(regex(
      "^rate\\((1 minute|([2-9]|[1-5][0-9]|60) minutes)\\)$", var.sweep_rate
    ))
    error_message = "The sweep_rate is rate(1 minute) to rate(60 minutes)."
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

variable "unknown_users" {
  description = <<-EOT
    What happens to a person whom the database does not know: `existing`
    refuses them, `create` makes a user without a password. The latter needs
    `setup.sql` with `-v create_users=on`.
  EOT
  type        = string
  default     = "existing"
  nullable    = false

  validation {
    condition     = contains(["create", "existing"], var.unknown_users)
    error_message = "The unknown_users are existing or create."
  }
}

variable "username_from" {
  description = <<-EOT
    What of a person's e-mail address is their database user: its `local_part`
    with hyphens turned to underscores, or the whole `email`.
  EOT
  type        = string
  default     = "local_part"
  nullable    = false

  validation {
    condition     = contains(["email", "local_part"], var.username_from)
    error_message = "The username_from is local_part or email."
  }
}

variable "usernames" {
  description = "E-mail address to database user, for those who differ."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = (
      length(distinct(values(var.usernames))) == length(var.usernames)
    )
    error_message = "Two addresses in usernames share one database user."
  }
}
