# The same modules as in production, with an example database to grant roles
# in, short durations, and nothing that keeps it from being destroyed again.

locals {
  name = "sym-${var.runtime_name}"

  # What people are told to connect with: the tunnel's end on their machine,
  # where there is a bastion.
  connect = coalesce(var.connect, format(
    "host=%v port=%v dbname=%v sslmode=require",
    var.bastion_enabled ? "127.0.0.1" : module.db.host,
    var.bastion_enabled ? 15432 : module.db.port, module.db.database
  ))
}

module "sym_runtime" {
  source = "../../modules/sym-runtime"

  architecture         = var.architecture
  audit_bucket         = var.audit_bucket
  audit_retention_days = var.audit_retention_days
  callers              = var.callers
  deletion_protection  = false
  error_channel        = var.error_channel
  global_suffix        = var.global_suffix
  log_retention_days   = 7
  package              = "${var.package_dir}/runtime.zip"
  runtime_name         = var.runtime_name
  safelist_account_ids = var.safelist_account_ids
  secret_recovery_days = 0
  slack_users          = var.slack_users
  slack_workspace_id   = var.slack_workspace_id
  sym_account_ids      = var.sym_account_ids
  sym_org_slug         = var.sym_org_slug
  tags                 = var.tags
}

module "db" {
  source = "../../modules/example-db"

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
  auth                    = "iam"
  certificate_authorities = var.certificate_authorities
  connection = {
    database = module.db.database
    host     = module.db.host
    port     = module.db.port
    user     = "sym_broker"
  }
  db_resource_id       = module.db.resource_id
  error_topic_arn      = module.sym_runtime.error_topic_arn
  global_suffix        = var.global_suffix
  log_retention_days   = 7
  max_duration_seconds = local.max_duration
  name                 = "${local.name}-postgres"
  package              = "${var.package_dir}/postgres.zip"
  roles                = local.roles
  secret_recovery_days = 0
  security_group_ids   = [module.db.client_security_group_id]
  subnet_ids           = module.db.private_subnet_ids
  tags                 = var.tags
  username_from        = var.username_from
  usernames            = var.usernames
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
  log_retention_days       = 7
  rules                    = var.rules
  runtime                  = module.sym_runtime
  tags                     = var.tags
  targets                  = var.pg_targets
}
