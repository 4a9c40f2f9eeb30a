# Only the rules that are built into tflint: nothing is downloaded to run it.

config {
  call_module_type = "local"
}

plugin "terraform" {
  enabled = true
  preset  = "all"
}

# Locals of one file's own begin with an underscore.
rule "terraform_naming_convention" {
  enabled = true

  locals {
    custom = "^_?[a-z][a-z0-9]*(_[a-z0-9]+)*$"
  }
}
