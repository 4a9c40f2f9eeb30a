# Asks a function what it would leave out of its settings. It is a module of its
# own since a data source that refers to a resource with changes is read in the
# apply, and the settings are changes of the function. What comes by a variable
# does not count.

data "aws_lambda_invocation" "this" {
  function_name = var.function_name
  qualifier     = var.qualifier
  input         = jsonencode(var.question)
}
