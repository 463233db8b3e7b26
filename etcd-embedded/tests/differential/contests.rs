pub fn compare(plan: super::Plan) {
    let _ = plan;
}
