# The variables that are objects, complete. They are of any type, since Terraform
# leaves out without a word what an object type does not know: a misspelt
# max_duration would be an hour. Here is what the environment itself reads of
# them; the modules that they go to check the rest.

locals {
  fields = {
    pg_targets = {
      default_duration = "number"
      label            = "string"
      max_duration     = "number"
      role_name        = "string"
    }
  }
}

# What is left out, or null, is its default.
locals {
  roles = [for target in var.pg_targets : tostring(target.role_name)]

  # The longest that any role is granted for.
  max_duration = max(1, [
    for target in var.pg_targets :
    try(coalesce(tonumber(target.max_duration)), 3600)
  ]...)
}
