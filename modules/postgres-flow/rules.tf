# Each target's rules, complete: what is said of the target, else what is said
# of all targets ("*"), else what holds where nothing is said. The Runtime reads
# nothing but the outcome, so that a plan shows what will hold.

locals {
  rule_fields = [
    "allow_self_approval", "approval_timeout_seconds", "approvals",
    "approve_at_once", "approve_when", "approvers", "backup_after_seconds",
    "backup_approvers", "break_glass", "default_duration", "deny",
    "max_duration", "request_when", "requesters",
  ]

  # What is compared with: one person's address has one form.
  groups = {
    for name, members in var.groups : name => distinct([
      for member in members : lower(trimspace(member))
    ])
  }

  # A field that is null is one that is left out.
  _written = merge({ "*" = {} }, {
    for scope, fields in var.rules : scope => {
      for field, value in fields : field => value if value != null
    }
  })

  _own = {
    for name, role in local._roles : name => lookup(local._written, role, {})
  }

  # The later goes before the earlier.
  _set = {
    for name, own in local._own : name => merge(
      {
        allow_self_approval      = var.allow_self_approval
        approval_timeout_seconds = var.approval_timeout_seconds
        approvals                = 1
        approve_when             = ""
        approvers                = local.approvers
        backup_after_seconds     = 0
        backup_approvers         = []
        break_glass              = null
        default_duration         = null
        max_duration             = null
        request_when             = ""
        requesters               = ["*"]
      },
      local._written["*"],
      own,
      # Who has nobody to ask needs no time for it.
      try(length(own.backup_approvers), 1) == 0 ? {
        backup_after_seconds = lookup(own, "backup_after_seconds", 0)
      } : {},
    )
  }

  # Lists of rules add up, those of all targets first: what is denied for all
  # is denied.
  _listed = {
    for name, own in local._own : name => {
      for list in ["approve_at_once", "deny"] : list => concat(
        lookup(local._written["*"], list, []), lookup(own, list, [])
      )
    }
  }

  # People as they are named, by place, and who they are.
  _named = {
    for name, set in local._set : name => {
      approvers            = set.approvers
      backup_approvers     = set.backup_approvers
      "break_glass.people" = try(set.break_glass.people, [])
      requesters = (
        contains([for person in set.requesters : trimspace(person)], "*")
        ? [] : set.requesters
      )
    }
  }
  _people = {
    for name, places in local._named : name => {
      for place, people in places : place => distinct(flatten([
        for person in people : startswith(trimspace(person), "group:")
        ? local.groups[trimprefix(trimspace(person), "group:")]
        : [lower(trimspace(person))]
      ]))
    }
  }

  rules = {
    for name, set in local._set : name => {
      allow_self_approval      = tobool(set.allow_self_approval)
      approval_timeout_seconds = set.approval_timeout_seconds
      approvals                = set.approvals
      approve_at_once = [
        for rule in local._listed[name].approve_at_once : {
          name = tostring(rule.name)
          when = tostring(rule.when)
        }
      ]
      approve_when         = tostring(set.approve_when)
      approvers            = local._people[name].approvers
      backup_after_seconds = set.backup_after_seconds
      backup_approvers     = local._people[name].backup_approvers
      # A break-glass rule without people can be used by nobody.
      break_glass = (
        length(local._named[name]["break_glass.people"]) == 0 ? null : {
          # Left out, it is null or not there at all.
          max_duration_seconds = try(
            coalesce(set.break_glass.max_duration_seconds), 0
          )
          people = local._people[name]["break_glass.people"]
          when   = try(coalesce(tostring(set.break_glass.when)), "")
        }
      )
      deny = [
        for rule in local._listed[name].deny : {
          message = try(coalesce(tostring(rule.message)), "")
          name    = tostring(rule.name)
          when    = tostring(rule.when)
        }
      ]
      request_when = tostring(set.request_when)
      requesters   = local._people[name].requesters
    }
  }

  # What is wrong with the whole that no part of it shows.
  refused_rules = flatten([
    for name, rules in local.rules : [
      [
        for place, people in local._named[name] :
        "${name}, ${place}: The groups that are named have no members."
        if length(people) > 0 && length(local._people[name][place]) == 0
      ],
      length(rules.approvers) == 0 && !rules.allow_self_approval ? [
        join(" ", [
          "${name}, approvers: Nobody could approve a request: name someone",
          "in flow_vars.approvers or in the rules, or set allow_self_approval",
          "= true if people shall approve their own.",
        ])
      ] : [],
      rules.approvals > max(1, length(distinct(
        concat(rules.approvers, rules.backup_approvers)
        ))) ? [
        join(" ", [
          "${name}, approvals: More approvals are needed than there are",
          "approvers and back-up approvers.",
        ])
      ] : [],
    ]
  ])

  # People whose own requests nobody could approve: too few others are on the
  # lists. Where a rule may approve at once there is another way.
  _deciding = {
    for name, rules in local.rules : name => distinct(
      concat(rules.approvers, rules.backup_approvers)
    )
  }
  stranded = [
    for name, rules in local.rules : format("%s for the target %s",
      join(", ", [
        for person in local._deciding[name] : person
        if length(rules.requesters) == 0 || contains(rules.requesters, person)
      ]), name
    )
    if(
      !rules.allow_self_approval && length(rules.approve_at_once) == 0 &&
      length(local._deciding[name]) == rules.approvals &&
      anytrue([
        for person in local._deciding[name] :
        length(rules.requesters) == 0 || contains(rules.requesters, person)
      ])
    )
  ]
}
