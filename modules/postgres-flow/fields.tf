# The variables that are objects, complete. They are of any type, since Terraform
# leaves out without a word what an object type does not know: a misspelt
# max_duration would be an hour. Each variable checks its own fields by what is
# said here, so that nothing here refers to one of them.

locals {
  fields = {
    flow_vars = {
      approvers       = "string"
      request_channel = "string"
      tell_approvers  = "string"
    }
    targets = {
      default_duration = "number"
      label            = "string"
      max_duration     = "number"
      role_name        = "string"
    }
  }
}

# What is left out, or null, is its default.
locals {
  flow_vars = {
    approvers = try(coalesce(tostring(var.flow_vars.approvers)), "")
    request_channel = try(
      coalesce(tostring(var.flow_vars.request_channel)), "#access-requests"
    )
    tell_approvers = try(
      coalesce(tostring(var.flow_vars.tell_approvers)), "mention"
    )
  }

  listed_targets = [
    for target in var.targets : {
      default_duration = tonumber(try(target.default_duration, null))
      label            = tostring(try(target.label, null))
      max_duration     = try(coalesce(tonumber(target.max_duration)), 3600)
      role_name        = tostring(target.role_name)
    }
  ]
}
