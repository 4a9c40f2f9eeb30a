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
}

variable "runtime" {
  description = "The Runtime that the flow belongs to: the sym-runtime module."
  type = object({
    connector_role_arn = string
  })
  nullable = false
}

variable "tags" {
  description = "Tags for every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}
