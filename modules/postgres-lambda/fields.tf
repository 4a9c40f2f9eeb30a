# The variables that are objects, complete. They are of any type, since Terraform
# leaves out without a word what an object type does not know: a misspelt
# database would be postgres. Each variable checks its own fields by what is
# said here, so that nothing here refers to one of them.

locals {
  fields = {
    connection = {
      database = "string"
      host     = "string"
      port     = "number"
      user     = "string"
    }
    readers = {
      cluster_id   = "string"
      hosts        = "list of strings"
      instance_id  = "string"
      resource_ids = "list of strings"
    }
  }
}

locals {
  # How RDS calls an instance, a cluster or a proxy in an ARN for logins.
  resource_id = "^((db|cluster)-[A-Z0-9]+|prx-[0-9a-z]+)$"
}

# What is left out, or null, is its default.
locals {
  connection = {
    database = try(coalesce(tostring(var.connection.database)), "postgres")
    host     = tostring(var.connection.host)
    port     = try(coalesce(tonumber(var.connection.port)), 5432)
    user     = tostring(var.connection.user)
  }

  readers = {
    cluster_id  = tostring(try(var.readers.cluster_id, null))
    hosts       = try([for host in var.readers.hosts : tostring(host)], [])
    instance_id = tostring(try(var.readers.instance_id, null))
    resource_ids = try(
      [for id in var.readers.resource_ids : tostring(id)], []
    )
  }
}
