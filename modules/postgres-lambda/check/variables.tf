variable "function_name" {
  description = "The function that is asked."
  type        = string
  nullable    = false
}

variable "qualifier" {
  description = "The alias by which it is asked."
  type        = string
  nullable    = false
}

variable "question" {
  description = <<-EOT
    What it is asked. A part that is not known yet puts the question off until
    it is.
  EOT
  type        = any
  nullable    = false
}
