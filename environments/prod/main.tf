# Roles in a database of yours, or in the example database to try it with.

locals {
  name = "sym-${var.runtime_name}"

  # The example database, or what pg_connection_config says.
  database = var.db_enabled ? {
    auth               = "iam"
    database           = module.db[0].database
    host               = module.db[0].host
    port               = module.db[0].port
    resource_id        = module.db[0].resource_id
    security_group_ids = [module.db[0].client_security_group_id]
    sslmode            = "verify-full"
    subnet_ids         = module.db[0].private_subnet_ids
    user               = "sym_broker"
    } : {
    auth               = local.pg_connection_config.auth
    database           = local.pg_connection_config.database
    host               = local.pg_connection_config.host
    port               = local.pg_connection_config.port
    resource_id        = local.pg_connection_config.resource_id
    security_group_ids = []
    sslmode            = local.pg_connection_config.sslmode
    subnet_ids         = var.lambda_subnet_ids
    user               = local.pg_connection_config.user
  }

  # Those of your database; the example's are found without. What is no object
  # goes on as it is, for the module to say so.
  readers = try({
    for name, value in var.readers : name => var.db_enabled ? null : value
  }, var.readers)

  # What people are told to connect with. To verify the certificate they would
  # need a file of root certificates, whose place on their machine is theirs.
  connect = coalesce(var.connect, format(
    "host=%v port=%v dbname=%v sslmode=require", local.database.host,
    local.database.port, local.database.database
  ))

  # What a database of yours cannot do without. The original's placeholders
  # count as missing.
  _placeholders = ["", "changeme"]
  missing = compact([
    contains(local._placeholders, lower(coalesce(
      local.pg_connection_config.host, "changeme"
    ))) ? "pg_connection_config.host" : "",
    contains(local._placeholders, lower(coalesce(
      local.pg_connection_config.user, "changeme"
    ))) ? "pg_connection_config.user" : "",
    (
      local.pg_connection_config.auth == "iam" &&
      local.pg_connection_config.resource_id == null
    ) ? "pg_connection_config.resource_id" : "",
    length(var.lambda_subnet_ids) == 0 ? "lambda_subnet_ids" : "",
  ])
}

module "sym_runtime" {
  source = "../../modules/sym-runtime"

  architecture         = var.architecture
  audit_bucket         = var.audit_bucket
  audit_retention_days = var.audit_retention_days
  callers              = var.callers
  error_channel        = var.error_channel
  global_suffix        = var.global_suffix
  package              = "${var.package_dir}/runtime.zip"
  runtime_name         = var.runtime_name
  safelist_account_ids = var.safelist_account_ids
  slack_users          = var.slack_users
  slack_workspace_id   = var.slack_workspace_id
  sym_account_ids      = var.sym_account_ids
  sym_org_slug         = var.sym_org_slug
  tags                 = var.tags
}

module "db" {
  source = "../../modules/example-db"
  count  = var.db_enabled ? 1 : 0

  architecture            = var.architecture
  availability_zones      = var.db_availability_zones
  bastion_enabled         = var.bastion_enabled
  broker_user             = "sym_broker"
  certificate_authorities = var.certificate_authorities
  global_suffix           = var.global_suffix
  namespace               = "${var.db_namespace}-${var.runtime_name}"
  package                 = "${var.package_dir}/seed.zip"
  tags                    = var.tags
}

module "postgres_lambda" {
  source = "../../modules/postgres-lambda"

  architecture            = var.architecture
  auth                    = local.database.auth
  certificate_authorities = var.certificate_authorities
  connection = {
    database = local.database.database
    host     = local.database.host
    port     = local.database.port
    user     = local.database.user
  }
  db_resource_id       = local.database.resource_id
  end_sessions         = var.end_sessions
  error_topic_arn      = module.sym_runtime.error_topic_arn
  global_suffix        = var.global_suffix
  max_duration_seconds = local.max_duration
  name                 = "${local.name}-postgres"
  on_end               = var.on_end
  package              = "${var.package_dir}/postgres.zip"
  readers              = local.readers
  roles                = local.roles
  security_group_ids = concat(
    local.database.security_group_ids, var.lambda_security_group_ids
  )
  sslmode       = local.database.sslmode
  subnet_ids    = local.database.subnet_ids
  tags          = var.tags
  unknown_users = var.unknown_users
  username_from = var.username_from
  usernames     = var.usernames
}

module "postgres_flow" {
  source = "../../modules/postgres-flow"

  allow_self_approval      = var.allow_self_approval
  approval_timeout_seconds = var.approval_timeout_seconds
  connect                  = local.connect
  flow_name                = var.flow_name
  flow_vars                = var.flow_vars
  function_arn             = module.postgres_lambda.function_arn
  groups                   = var.groups
  rules                    = var.rules
  runtime                  = module.sym_runtime
  tags                     = var.tags
  targets                  = var.pg_targets
}
