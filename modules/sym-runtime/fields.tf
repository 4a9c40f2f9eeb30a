# The variable that is an object, complete. It is of any type, since Terraform
# leaves out without a word what an object type does not know. The variable
# checks its fields by what is said here.

locals {
  fields = {
    audit_bucket = {
      mode           = "string"
      retention_days = "number"
    }
  }
}

locals {
  # What is left out, or null, is its default.
  audit_buckets = var.audit_bucket == null ? [] : [{
    mode           = try(coalesce(tostring(var.audit_bucket.mode)), "GOVERNANCE")
    retention_days = tonumber(var.audit_bucket.retention_days)
  }]
}
